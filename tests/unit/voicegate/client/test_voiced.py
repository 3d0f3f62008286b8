"""Where somebody is heard."""

import numpy as np
import pytest

from voicegate.client.voiced import answer_s, voiced_span

RATE = 16_000


def _tone(seconds: float, amplitude: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 220 * t)).astype(np.int16)


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def test_silence_has_no_voice() -> None:
    assert voiced_span(_silence(1), RATE) is None
    assert voiced_span(np.empty(0, np.int16), RATE) is None


def test_a_tone_is_found_to_ten_milliseconds() -> None:
    samples = np.concatenate([_silence(0.5), _tone(0.3, 8000), _silence(0.4)])
    assert voiced_span(samples, RATE) == (8000, 12800)


@pytest.mark.parametrize(("amplitude", "heard"), [(600, True), (300, False)])
def test_a_tail_counts_down_to_25_decibels_below_the_loudest(amplitude: int, heard: bool) -> None:
    samples = np.concatenate([_silence(0.5), _tone(0.3, 8000), _tone(0.2, amplitude)])
    span = voiced_span(samples, RATE)
    assert span is not None
    assert (span[1] > 13_000) is heard


@pytest.mark.parametrize(("amplitude", "heard"), [(160, True), (40, False)])
def test_a_beginning_counts_down_to_40_decibels_below_the_loudest(amplitude: int, heard: bool) -> None:
    samples = np.concatenate([_silence(0.5), _tone(0.2, amplitude), _tone(0.3, 8000)])
    span = voiced_span(samples, RATE)
    assert span is not None
    assert (span[0] == 8000) is heard


def test_an_agents_first_sample_is_found_behind_a_quiet_lead_in() -> None:
    agent = np.concatenate([_silence(0.1), _tone(0.1, 60), _tone(0.2, 8000)])
    assert answer_s(agent, 0, RATE) == pytest.approx(0.2, abs=0.001)
    assert answer_s(agent, 7000, RATE) is None


def test_hiss_is_not_voice() -> None:
    noise = np.random.default_rng(1).normal(0, 60, 2 * RATE).astype(np.int16)  # 35 dB below the tone
    noise[RATE : RATE + 4800] += _tone(0.3, 4800)
    assert voiced_span(noise, RATE) == (16_000, 20_800)


def test_speech_without_a_pause_is_voiced_to_its_end() -> None:
    assert voiced_span(_tone(1.0, 5000), RATE) == (0, 16_000)
