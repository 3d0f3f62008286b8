"""The pauses that are cut into questions."""

import numpy as np

from benchmarks.corpus import with_pause
from benchmarks.waveform import longest_pause_ms


def test_a_pause_is_put_in_at_the_place_and_nothing_is_lost() -> None:
    t = np.arange(16_000) / 16_000
    samples = (8000 * np.sin(2 * np.pi * 300 * t)).astype(np.int16)
    paused = with_pause(samples, 0.4, 500)
    assert paused.size == 24_000
    assert not paused[6400:14_400].any()
    assert paused[:6300].tolist() == samples[:6300].tolist()
    assert paused[14_500:].tolist() == samples[6500:].tolist()
    assert abs(int(paused[6399])) < 200  # faded, not cut
    assert longest_pause_ms(paused, 16_000) == 500.0


def test_a_pause_at_the_very_end_is_silence() -> None:
    paused = with_pause(np.full(1600, 500, np.int16), 0.1, 100)
    assert paused.size == 3200
    assert not paused[1600:].any()
