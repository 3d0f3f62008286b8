"""The smoothing of WebRTC's yes and no."""

import asyncio

import numpy as np
import pytest

from pipeline.adapters.webrtc_vad import WebrtcVadConfig, WebrtcVoiceActivity
from voicegate.kernel.errors import ConfigError


async def probabilities(config: WebrtcVadConfig, *frames: np.ndarray) -> list[float]:
    got: list[float] = []
    detector = WebrtcVoiceActivity(config).open(lambda probability, end: got.append(probability))
    for frame in frames:
        detector.push(frame.astype(np.int16))
    await asyncio.sleep(0)
    return got


async def test_loud_frames_raise_it_step_by_step_and_silence_lets_it_fall() -> None:
    loud = np.random.default_rng(0).normal(size=320) * 8000
    got = await probabilities(WebrtcVadConfig(0, smoothing=0.5), *[loud] * 3, *[np.zeros(320)] * 30)
    assert got[:3] == [0.5, 0.75, 0.875]
    assert got[-1] < 0.05
    assert got[3:] == sorted(got[3:], reverse=True) or max(got[3:]) < 1


async def test_without_smoothing_it_is_the_detector_s_own_answer() -> None:
    loud = np.random.default_rng(0).normal(size=320) * 8000
    assert set(await probabilities(WebrtcVadConfig(smoothing=1.0), loud, loud, *[np.zeros(320)] * 20)) <= {0.0, 1.0}


@pytest.mark.parametrize("config", [WebrtcVadConfig(aggressiveness=4), WebrtcVadConfig(smoothing=0)])
def test_settings_out_of_range_are_refused(config: WebrtcVadConfig) -> None:
    with pytest.raises(ConfigError):
        WebrtcVoiceActivity(config)
