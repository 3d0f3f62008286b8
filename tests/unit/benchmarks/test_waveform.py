"""Latency off synthetic waveforms whose answer is known to the sample."""

import numpy as np
import pytest

from benchmarks.waveform import (
    Voice,
    barge_in_ms,
    longest_pause_ms,
    spans_of_silence,
    talked_over,
    voice_on_tape,
    voice_to_voice_ms,
)

RATE = 16_000


def _tone(seconds: float, amplitude: float = 8000) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.cos(2 * np.pi * 500 * t)).astype(np.int16)


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def _row(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)


def test_a_clips_own_silence_is_not_its_voice() -> None:
    clip = _row(_silence(0.2), _tone(0.5), _silence(0.3))
    assert voice_on_tape(clip, 1000, RATE) == Voice(1000 + 3200, 1000 + 11_200)


def test_a_silent_clip_has_no_voice() -> None:
    with pytest.raises(ValueError, match="nobody"):
        voice_on_tape(_silence(1), 0, RATE)


def test_voice_to_voice_is_exact_and_passes_over_quiet_lead_in() -> None:
    agent = _row(_silence(1.0), _tone(0.3, 40), _tone(1.0))  # the lead-in is 46 dB below the voice
    assert voice_to_voice_ms(agent, Voice(0, 8000), RATE) == 800.0


def test_an_earlier_reply_is_no_answer() -> None:
    agent = _row(_tone(0.5), _silence(1.5), _tone(0.5))
    assert voice_to_voice_ms(agent, Voice(9000, 16_000), RATE) == 1000.0


def test_no_answer_is_none() -> None:
    assert voice_to_voice_ms(_row(_tone(0.2), _silence(1)), Voice(4000, 5000), RATE) is None
    assert voice_to_voice_ms(_silence(1), Voice(0, 10), RATE) is None


@pytest.mark.parametrize(
    ("agent", "talked"),
    [
        (_row(_silence(1.0), _tone(1.0)), False),
        (_row(_tone(0.2), _silence(0.8), _tone(1.0)), False),  # its last word, as the caller took the floor
        (_row(_silence(0.6), _tone(1.0)), True),
    ],
)
def test_talking_over_the_caller(agent: np.ndarray, talked: bool) -> None:
    assert talked_over(agent, Voice(0, RATE), RATE) is talked


def test_barge_in_lasts_until_the_agents_last_voiced_sample() -> None:
    agent = _row(_tone(1.25), _silence(2.0), _tone(1.0))
    measured = barge_in_ms(agent, Voice(RATE, 3 * RATE), RATE)
    assert measured == pytest.approx(250, abs=1)  # a cosine is near zero for a few samples


def test_barge_in_over_a_silent_agent_is_none() -> None:
    assert barge_in_ms(_row(_tone(0.5), _silence(2)), Voice(RATE, 2 * RATE), RATE) is None


def test_an_agent_that_pauses_and_goes_on_has_not_stopped() -> None:
    agent = _row(_tone(1.2), _silence(0.5), _tone(2.0))
    assert barge_in_ms(agent, Voice(RATE, 3 * RATE), RATE) == pytest.approx(2000, abs=1)


def test_the_longest_inner_pause() -> None:
    clip = _row(_silence(0.9), _tone(0.4), _silence(0.2), _tone(0.4), _silence(0.45), _tone(0.2), _silence(0.7))
    assert longest_pause_ms(clip, RATE) == 450.0
    assert longest_pause_ms(_tone(1), RATE) == 0.0
    assert longest_pause_ms(_silence(1), RATE) == 0.0


def test_silences_between_an_agents_words() -> None:
    agent = _row(_silence(0.5), _tone(0.4), _silence(0.3), _tone(0.2), _silence(0.05), _tone(0.2), _silence(1))
    spans = spans_of_silence(agent, RATE, at_least_ms=100)
    assert len(spans) == 1
    assert spans[0][0] == pytest.approx(14_400, abs=16)
    assert spans[0][1] == 19_200
