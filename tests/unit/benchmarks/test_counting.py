"""The counting agent: a waveform of its tones tells which words were heard."""

import numpy as np
import pytest

from audiocodecs import g711
from audiocodecs.resample import resample_whole
from benchmarks.counting import WORDS, Counted, heard_words, pitch_hz, tones
from voicegate.kernel.audio import Samples


def on_the_phone(text: str) -> tuple[Samples, list[float]]:
    """Tones as a μ-law leg plays them, and the middle of each word in samples."""
    samples, times = tones(text)
    played = g711.ulaw_decode(g711.ulaw_encode(resample_whole(samples, 16_000, 8_000)))
    return played, [(time.start_s + time.end_s) / 2 * 8_000 for time in times]


def test_every_word_has_its_own_pitch() -> None:
    assert len({pitch_hz(word) for word in WORDS}) == len(WORDS)
    assert max(map(pitch_hz, WORDS)) < 3_000, "within a telephone's band"
    assert pitch_hz("Hello") > 3_000


def test_wherever_a_reply_is_cut_the_count_is_right() -> None:
    played, middles = on_the_phone(" ".join(WORDS))
    wrong = [cut for cut in range(0, played.size, 397)
             if abs(heard_words(played[:cut], 8_000).words - sum(m <= cut for m in middles)) > 0]  # fmt: skip
    assert len(wrong) <= 3, "only where the cut is at the middle itself"


def test_silence_before_and_between_counts_nothing() -> None:
    played, _ = on_the_phone("Apples bring calm")
    gap = np.zeros(8_000, np.int16)
    assert heard_words(np.concatenate([gap, played, gap]), 8_000) == Counted(3, "calm")
    assert heard_words(gap, 8_000) == Counted(0, "")


def test_a_word_that_was_said_again_counts_once() -> None:
    first, _ = on_the_phone("Apples bring calm")
    again, _ = on_the_phone("calm days")
    assert heard_words(np.concatenate([first[:5_600], again]), 8_000).words == 4


@pytest.mark.parametrize("text", ["Hello there", "Sorry"])
def test_other_words_do_not_count(text: str) -> None:
    played, _ = on_the_phone(text)
    assert heard_words(played, 8_000) == Counted(0, "")
