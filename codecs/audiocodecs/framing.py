"""Samples of any length to frames of exactly 20 ms."""

import numpy as np

from voicegate.kernel.audio import Frame, Samples, frame_samples


class Framer:
    """Cuts a stream of mono int16 into frames at ``rate_hz``. Holds less than one frame."""

    def __init__(self, rate_hz: int) -> None:
        self._size = frame_samples(rate_hz)
        self._rest: Samples = np.empty(0, np.int16)
        self.pending = 0
        """Samples of a frame that is not whole."""

    def push(self, samples: Samples) -> list[Frame]:
        """The frames completed by ``samples``; the pushed array itself where it is exactly one frame."""
        if not self.pending and samples.size == self._size:
            return [samples]  # the usual case: the sender frames as we do
        joined = np.concatenate([self._rest, samples])
        whole = joined.size - joined.size % self._size
        self._rest = joined[whole:].copy()  # a view would keep a whole long push alive
        self.pending = self._rest.size
        return list(joined[:whole].reshape(-1, self._size))

    def flush(self) -> list[Frame]:
        """End of stream: the rest, padded with zeros to a whole frame; nothing if there is no rest."""
        if not self._rest.size:
            return []
        frame = np.pad(self._rest, (0, self._size - self._rest.size))
        self._rest, self.pending = np.empty(0, np.int16), 0
        return [frame]
