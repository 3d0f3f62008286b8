"""The caller's side of a call: clips in the order given, silence before, between and after them. PURE."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from voicegate.kernel.audio import Frame, Samples, frame_samples


@dataclass(slots=True)
class Utterance:
    """A clip that is spoken in a call. Positions are samples of the call's tape."""

    samples: Samples
    """As given; the last frame is filled up with silence when it is sent."""
    start: int | None = None
    """Where its first sample lies on the tape; None until it was sent."""
    frames_left: int = 0

    @property
    def spoken(self) -> bool:
        """Its last frame was sent."""
        return self.start is not None and self.frames_left == 0

    @property
    def end(self) -> int:
        """One past its last sample on the tape."""
        if self.start is None:
            raise ValueError("the utterance has not begun")
        return self.start + self.samples.size


class Microphone:
    """Gives a frame every 20 ms, mono int16 at ``rate_hz``."""

    def __init__(self, rate_hz: int) -> None:
        self._size = frame_samples(rate_hz)
        self._silence: Frame = np.zeros(self._size, np.int16)
        self._waiting: deque[tuple[Utterance, Frame]] = deque()

    def say(self, samples: Samples) -> Utterance:
        """Speak ``samples`` next, after what was given before."""
        padded = np.pad(samples, (0, -samples.size % self._size))
        frames = padded.reshape(-1, self._size)
        utterance = Utterance(samples, frames_left=len(frames))
        self._waiting.extend((utterance, frame) for frame in frames)
        return utterance

    def next_frame(self) -> tuple[Frame, Utterance | None]:
        """The next 20 ms and the utterance it belongs to; the caller of this keeps the utterance's account."""
        if not self._waiting:
            return self._silence, None
        utterance, frame = self._waiting.popleft()
        return frame, utterance
