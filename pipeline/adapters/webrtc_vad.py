"""Voice activity by WebRTC's detector: 2 µs a frame and no weights, but it also fires on noise, music and DTMF.

The detector only says yes or no for a frame, so the answers are smoothed into a probability. Source: the package
``webrtcvad-wheels`` (Gaussian mixture over six sub-bands, 80 Hz to 4 kHz).
"""

import asyncio
from dataclasses import dataclass

import webrtcvad

from pipeline.ports import OnProbability
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Frame
from voicegate.kernel.errors import ConfigError

PROVIDER = "webrtcvad"


@dataclass(frozen=True, slots=True)
class WebrtcVadConfig:
    aggressiveness: int = 2
    """0 to 3: how strictly noise is told from speech."""
    smoothing: float = 0.4
    """Weight of the newest frame, 0 to 1. At 0.4 speech passes 0.5 with its second frame, after 40 ms."""


class WebrtcVadDetector:
    """One stream. Probabilities come on the next turn of the event loop, never from within ``push``."""

    def __init__(self, config: WebrtcVadConfig, on_probability: OnProbability) -> None:
        self._vad = webrtcvad.Vad(config.aggressiveness)
        self._smoothing = config.smoothing
        self._on_probability = on_probability
        self._probability = 0.0
        self._end_sample = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def push(self, frame: Frame) -> None:
        if self._closed:
            return
        voiced = 1.0 if self._vad.is_speech(frame.tobytes(), PIPELINE_RATE_HZ) else 0.0
        self._probability += self._smoothing * (voiced - self._probability)
        self._end_sample += frame.size
        self._loop.call_soon(self._tell, self._probability, self._end_sample)

    def close(self) -> None:
        self._closed = True

    def _tell(self, probability: float, end_sample: int) -> None:
        if not self._closed:
            self._on_probability(probability, end_sample)


class WebrtcVoiceActivity:
    """The :class:`~pipeline.ports.VoiceActivity` of WebRTC. Windows of one 20 ms frame, 16 kHz mono int16.

    Raises:
        ConfigError: a setting out of range.
    """

    provider = PROVIDER

    def __init__(self, config: WebrtcVadConfig | None = None) -> None:
        self._config = config or WebrtcVadConfig()
        if self._config.aggressiveness not in range(4):
            raise ConfigError(f"aggressiveness {self._config.aggressiveness}: 0, 1, 2 or 3")
        if not 0 < self._config.smoothing <= 1:
            raise ConfigError(f"smoothing {self._config.smoothing}: above 0, at most 1")

    def open(self, on_probability: OnProbability) -> WebrtcVadDetector:
        """A new stream. Call it on the event loop."""
        return WebrtcVadDetector(self._config, on_probability)
