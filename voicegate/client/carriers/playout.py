"""What a carrier buffers and plays: audio and marks in the order they came, 20 ms at a time. PURE.

The model has no clock: :meth:`PlayoutModel.take` is called once every 20 ms and gives the frame that is audible for the
20 ms that follow. A mark is due when everything before it has *been* audible, so at the earliest one call later.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from voicegate.kernel.audio import FRAME_MS, Frame, Samples, frame_samples


@dataclass(frozen=True, slots=True)
class Played:
    """One step of playout."""

    frame: Frame | None
    """Audible for the next 20 ms, the end filled with silence; None: nothing to play."""
    marks: tuple[str, ...] = ()
    """Marks that are due now, in order."""


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    position: int


class PlayoutModel:
    """The buffer between a carrier's socket and its caller's ear. Samples are mono int16 at ``rate_hz``."""

    def __init__(self, rate_hz: int, *, limit_ms: float | None = None) -> None:
        self.rate_hz = rate_hz
        self.paused = False
        self.most_ms = 0.0
        """The most that was ever buffered."""
        self._limit = None if limit_ms is None else round(limit_ms * rate_hz / 1000)
        self._size = frame_samples(rate_hz)
        self._queue: deque[Samples] = deque()
        self._marks: deque[_Mark] = deque()
        self._put = self._taken = 0

    @property
    def buffered_samples(self) -> int:
        return self._put - self._taken

    @property
    def buffered_ms(self) -> float:
        return self.buffered_samples * 1000 / self.rate_hz

    @property
    def idle(self) -> bool:
        """Nothing is buffered and no mark waits."""
        return not (self.buffered_samples or self._marks)

    def put(self, samples: Samples) -> int:
        """Play ``samples`` after what is there; returns how many did not fit."""
        room = samples.size if self._limit is None else max(0, self._limit - self.buffered_samples)
        kept = samples[:room]
        if kept.size:
            self._queue.append(kept)
            self._put += kept.size
            self.most_ms = max(self.most_ms, self.buffered_ms)
        return int(samples.size - kept.size)

    def mark(self, name: str) -> None:
        """Tell when everything that was put before has been played."""
        self._marks.append(_Mark(name, self._put))

    def clear(self) -> tuple[str, ...]:
        """Drop what has not begun to play; returns the marks that were waiting."""
        self._queue.clear()
        self._put = self._taken
        waiting = tuple(mark.name for mark in self._marks)
        self._marks.clear()
        return waiting

    def take(self) -> Played:
        """The next 20 ms."""
        due = []
        while self._marks and self._marks[0].position <= self._taken:
            due.append(self._marks.popleft().name)
        frame = None if self.paused or not self._queue else self._next_frame()
        return Played(frame, tuple(due))

    def _next_frame(self) -> Frame:
        frame = np.zeros(self._size, np.int16)
        filled = 0
        while self._queue and filled < self._size:
            first = self._queue.popleft()
            part = first[: self._size - filled]
            frame[filled : filled + part.size] = part
            filled += part.size
            if part.size < first.size:
                self._queue.appendleft(first[part.size :])
        self._taken += filled
        return frame


def messages_ms(messages: int) -> float:
    """The length of a queue that holds so many messages of 20 ms."""
    return float(messages * FRAME_MS)
