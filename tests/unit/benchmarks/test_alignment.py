"""Finding out which words were in the audio that was received."""

import numpy as np

from benchmarks.alignment import WholeReply, end_in_whole, middles
from pipeline.ports import WordTime

RATE = 16_000
WHOLE = np.random.default_rng(3).integers(-5000, 5000, 3 * RATE).astype(np.int16)


def test_the_end_is_found_though_the_beginning_was_padded() -> None:
    received = np.concatenate([np.zeros(77, np.int16), WHOLE[: 20 * 320 + 5]])
    assert end_in_whole(received, WHOLE, RATE) == 20 * 320 + 5


def test_a_faded_last_frame_does_not_count() -> None:
    fade = np.concatenate([WHOLE[3200:3280] // 2, np.zeros(240, np.int16)])
    assert end_in_whole(np.concatenate([WHOLE[:3200], fade]), WHOLE, RATE) == 3200


def test_other_audio_is_not_aligned() -> None:
    assert end_in_whole(WHOLE[::-1].copy(), WHOLE, RATE) is None
    assert end_in_whole(np.zeros(RATE, np.int16), WHOLE, RATE) is None
    assert end_in_whole(np.empty(0, np.int16), WHOLE, RATE) is None


def test_another_rendering_of_the_same_words_is_found() -> None:
    noise = np.random.default_rng(4).normal(0, 700, 20_000)
    received = (WHOLE[:20_000] + noise).astype(np.int16)
    assert end_in_whole(received, WHOLE, RATE) == 20_000


def test_very_little_audio_is_found_too() -> None:
    assert end_in_whole(WHOLE[:640], WHOLE, RATE) == 640


def test_words_are_heard_when_their_middle_is_out() -> None:
    times = [WordTime("one", 0.0, 0.2), WordTime("two", 0.2, 0.6)]
    reply = WholeReply(WHOLE, tuple(middles(times, 100, RATE)), ("one", "two"))
    assert reply.middles == (1700, 6500)
    assert [reply.heard_words(position) for position in (1699, 1700, 6499, 6500)] == [0, 1, 1, 2]
