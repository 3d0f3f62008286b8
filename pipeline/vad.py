"""Voice activity with hysteresis: speech probabilities in, speech started and stopped out. PURE.

Positions are sample counts at 16 kHz from the first sample of the connection; time never enters.
"""

from dataclasses import dataclass
from typing import TypeAlias

from voicegate.kernel.audio import PIPELINE_RATE_HZ


@dataclass(frozen=True, slots=True)
class VadConfig:
    """Defaults are our choice, measured on read speech, spontaneous speech and room noise with Silero v6."""

    start_probability: float = 0.6
    """A window at or above it is voiced while nobody speaks."""
    stop_probability: float = 0.35
    """A window below it is unvoiced while somebody speaks."""
    start_ms: int = 64
    """Voiced time before speech counts as started: two windows, so that a click does not."""
    stop_ms: int = 128
    """Unvoiced time before speech counts as stopped. Not the end of a turn: endpointing decides that."""


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    first_sample: int
    """The first voiced sample, 16 kHz."""


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    last_sample: int
    """One past the last voiced sample, 16 kHz."""


VoiceEdge: TypeAlias = VoiceBegan | VoiceEnded


class VoiceEdges:
    """Turns window probabilities into edges. One a session."""

    def __init__(self, config: VadConfig) -> None:
        self._config = config
        self._start_probability = config.start_probability
        self._start_samples = config.start_ms * PIPELINE_RATE_HZ // 1000
        self._stop_samples = config.stop_ms * PIPELINE_RATE_HZ // 1000
        self._speaking = False
        self.position = 0
        """One past the last sample of the newest window."""
        self._run_from: int | None = None
        """While silent: start of the run of voiced windows. While speaking: start of the run of unvoiced ones."""

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def rising(self) -> bool:
        """Nobody speaks yet, but the newest window was voiced: speech may be about to start."""
        return not self._speaking and self._run_from is not None

    def feed(self, probability: float, end_sample: int) -> VoiceEdge | None:
        """Take the probability of the window that ends just before ``end_sample``."""
        begin, self.position = self.position, end_sample
        if self._speaking:
            return self._while_speaking(probability, begin, end_sample)
        if probability < self._start_probability and self._run_from is None:
            return None  # most windows of most calls
        return self._while_silent(probability, begin, end_sample)

    def _while_silent(self, probability: float, begin: int, end: int) -> VoiceEdge | None:
        if probability < self._start_probability:
            self._run_from = None
            return None
        if self._run_from is None:
            self._run_from = begin
        if end - self._run_from < self._start_samples:
            return None
        first, self._run_from, self._speaking = self._run_from, None, True
        return VoiceBegan(first)

    def _while_speaking(self, probability: float, begin: int, end: int) -> VoiceEdge | None:
        if probability >= self._config.stop_probability:
            self._run_from = None
            return None
        if self._run_from is None:
            self._run_from = begin
        if end - self._run_from < self._stop_samples:
            return None
        last, self._run_from, self._speaking = self._run_from, None, False
        return VoiceEnded(last)
