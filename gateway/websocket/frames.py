"""Pushing a caller's audio into a call without stalling the other calls."""

import asyncio
from typing import Final, Protocol

import numpy as np

from audiocodecs.framing import Framer
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Frame, Samples, frame_samples

_FRAME: Final = frame_samples(PIPELINE_RATE_HZ)
FRAMES_A_TURN: Final = 50
"""Frames pushed before the event loop gets its turn: one second of audio."""


class Hears(Protocol):
    """What frames are pushed into: a conversation, or something before it."""

    def push_audio(self, frame: Frame) -> None: ...

    def end_utterance(self) -> None: ...


class FrameFeed:
    """Samples of any length, 16 kHz mono int16, to a conversation's frames."""

    def __init__(self, conversation: Hears, *, resampled: bool = False) -> None:
        self._conversation = conversation
        self._framer = Framer(PIPELINE_RATE_HZ)
        self._first = resampled

    @property
    def aligned(self) -> bool:
        """No part of a frame waits: a frame that comes now goes on as it is."""
        return not (self._first or self._framer.pending)

    async def push(self, samples: Samples) -> None:
        """Push what completes frames; yields to the loop every :data:`FRAMES_A_TURN` frames."""
        await self._push(self._frames(samples))

    def push_now(self, samples: Samples) -> None:
        """The same for a few frames, at once."""
        if samples.size == _FRAME and self.aligned:
            self._conversation.push_audio(samples)
            return
        for frame in self._frames(samples):
            self._conversation.push_audio(frame)

    def _frames(self, samples: Samples) -> list[Frame]:
        if not samples.size:
            return []
        if self._first:
            # A resampler holds back its look-ahead once: without these zeros no later packet would end a frame.
            self._first = False
            samples = np.concatenate([np.zeros(-samples.size % _FRAME, np.int16), samples])
        return self._framer.push(samples)

    async def end_utterance(self) -> None:
        """Push the rest, padded with silence, and end the utterance."""
        await self._push(self._framer.flush())
        self._conversation.end_utterance()

    async def _push(self, frames: list[Frame]) -> None:
        for count, frame in enumerate(frames, 1):
            self._conversation.push_audio(frame)
            if count % FRAMES_A_TURN == 0:
                await asyncio.sleep(0)
