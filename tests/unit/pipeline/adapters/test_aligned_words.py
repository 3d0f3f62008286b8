"""Characters with times to words; bytes to samples."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.aligned_words import AlignedWords, PcmBytes
from pipeline.ports import WordTime


@given(st.lists(st.binary(max_size=9)))
def test_borders_within_a_sample_do_not_matter(pieces: list[bytes]) -> None:
    pcm = PcmBytes()
    got = b"".join(pcm.push(piece).tobytes() for piece in pieces)
    whole = b"".join(pieces)
    assert got == whole[: len(whole) // 2 * 2]


def test_samples_are_writable_int16() -> None:
    samples = PcmBytes().push(b"\x01\x00\xff\xff\x07")
    assert samples.dtype == np.int16
    assert samples.tolist() == [1, -1]
    samples[0] = 5


def test_a_word_across_pieces_timed_from_the_phrase() -> None:
    words = AlignedWords()
    assert words.push("Hi y", [0.0, 0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4], audio_s=0.0) == (WordTime("Hi", 0.0, 0.2),)
    assert words.push("ou ", [0.4, 0.5, 0.6], [0.5, 0.6, 0.7], audio_s=0.4) == (WordTime("you", 0.3, 0.6),)
    assert words.finish() == ()


def test_a_word_across_pieces_timed_from_the_piece() -> None:
    words = AlignedWords()
    words.push("y", [0.0], [0.4], audio_s=0.0)
    assert words.push("ou", [0.0, 0.1], [0.1, 0.2], audio_s=0.4) == ()
    assert words.finish() == (WordTime("you", 0.0, 0.6000000000000001),)


def test_ragged_lists_are_read_as_far_as_they_go() -> None:
    words = AlignedWords()
    assert words.push("ab c", [0.0, 0.1], [0.1], audio_s=0.0) == ()
    assert words.finish() == (WordTime("a", 0.0, 0.1),)
    assert words.push("", [], [], audio_s=1.0) == ()
