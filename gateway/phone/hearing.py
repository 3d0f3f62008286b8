"""The way in from a carrier: silence where audio is missing, packets to frames, the agent's echo kept out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from audiocodecs.registry import open_decoder
from audiocodecs.telephony import TelephonyDecoder
from gateway.conversation import Conversation
from gateway.intake import Intake
from gateway.phone.echo import QUIET_POWER, EchoGate
from gateway.phone.messages import Audio, PhoneFormat
from gateway.phone.missing import MissingAudio
from gateway.websocket.ending import Exit
from gateway.websocket.frames import FrameFeed
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Frame, frame_samples
from voicegate.kernel.telemetry import Counter

_FRAME: Final = frame_samples(PIPELINE_RATE_HZ)
_SAMPLES_A_MS: Final = PIPELINE_RATE_HZ / 1000
_SILENCE: Final = np.zeros(_FRAME, np.int16)


@dataclass(frozen=True, slots=True)
class _Gated:
    """A conversation that does not hear itself."""

    conversation: Conversation
    echo: EchoGate
    now: Callable[[], float]

    def push_audio(self, frame: Frame) -> None:
        for each in self.echo.heard(frame, self.now()):
            self.conversation.push_audio(each)

    def end_utterance(self) -> None:
        self.conversation.end_utterance()


class Hearing:
    """One connection's. ``filled`` counts the seconds that were missing."""

    def __init__(
        self,
        conversation: Conversation,
        heard: PhoneFormat,
        echo: EchoGate | None,
        leaving: Exit,
        *,
        intake: Intake,
        filled: Counter,
        now: Callable[[], float],
    ) -> None:
        self._ears = conversation if echo is None else _Gated(conversation, echo, now)
        self._push_audio, self._echo = conversation.push_audio, echo
        self._decoder = open_decoder(heard.encoding, heard.rate_hz)
        self._joins = self._decoder.joins if isinstance(self._decoder, TelephonyDecoder) else _never
        self._feed = FrameFeed(self._ears, resampled=heard.rate_hz != PIPELINE_RATE_HZ)
        self.missing = MissingAudio(now())
        self._leaving, self._intake, self._filled, self._now = leaving, intake, filled, now
        self._hear_frame: Callable[[Frame, float], None] = self._heard  # made once: thousands a second are handed out

    async def hear(self, audio: Audio) -> int:
        """Returns how many samples it was, at 16 kHz, with what was missing before it; a long message lets others have
        the loop.

        Raises:
            AudioError: it is not the audio that was agreed on.
        """
        samples = self._decoder.push(audio.data)
        missing = self._fill_before(audio, samples.size / _SAMPLES_A_MS, self._now())
        await self._feed.push(samples)
        return missing + samples.size

    def hear_at_once(self, audio: Audio, now: float) -> int:
        """The same without waiting; a usual packet of telephony is heard some milliseconds later."""
        if self._joins(audio.data):
            missing = self._fill_before(audio, FRAME_MS, now)
            self._intake.add(self._decoder, audio.data, self._hear_frame)
            return missing + _FRAME
        self._intake.settle()
        samples = self._decoder.push(audio.data)
        missing = self._fill_before(audio, samples.size / _SAMPLES_A_MS, now)
        self._feed.push_now(samples)
        return missing + samples.size

    def fill_overdue(self, now: float) -> None:
        """20 ms passed: silence for what should have come."""
        if frames := self.missing.overdue(now):
            self._fill(frames)

    def close(self) -> None:
        """Nothing comes any more; what is done with is free at once, without the collector."""
        self._hear_frame = _deaf

    def _heard(self, frame: Frame, power: float) -> None:
        if self._leaving.decided:
            return
        echo = self._echo
        try:
            if not self._feed.aligned:
                self._feed.push_now(frame)
            elif echo is None or (power <= QUIET_POWER and echo.is_known_quiet()):
                self._push_audio(frame)
            else:
                for each in echo.heard(frame, self._now(), power):
                    self._push_audio(each)
        except Exception as error:
            self._leaving.fail(error)

    def _fill_before(self, audio: Audio, duration_ms: float, now: float) -> int:
        """Silence for what is missing before ``audio``; returns its samples."""
        frames = self.missing.before(audio.at_ms, duration_ms, now)
        if frames:
            self._fill(frames)
        return frames * _FRAME

    def _fill(self, frames: int) -> None:
        self._intake.settle()
        self._filled.inc(frames * FRAME_MS / 1000)
        for _ in range(frames):
            self._ears.push_audio(_SILENCE)


def _deaf(_frame: Frame, _power: float) -> None:
    """The stream is over."""


def _never(_data: bytes) -> bool:
    return False
