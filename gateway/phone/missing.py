"""Missing audio: where a carrier leaves gaps or stops sending in silence, silence takes its place. PURE.

Without it endpointing would wait for frames that never come, and words before and after a gap would be one.
"""

from typing import Final

from voicegate.kernel.audio import FRAME_MS

OVERDUE_S: Final = 0.2
"""A line that is quiet for so long has a gap and no jitter (our choice: a TCP retransmission is not longer)."""
LONGEST_MS: Final = 1000
"""Silence for one gap on the carrier's clock: what voice activity and endpointing can use."""
_LEAST_MS: Final = 20


class MissingAudio:
    """One line. Everything is in frames of 20 ms."""

    def __init__(self, now: float) -> None:
        self._until = now
        self.overdue_at = now + OVERDUE_S
        """When :meth:`overdue` will have something, unless audio comes before."""
        self._filled_ms = 0
        self._end_ms: float | None = None

    def before(self, at_ms: int | None, duration_ms: float, now: float) -> int:
        """Frames of silence that belong before audio that comes now, ``at_ms`` on the carrier's clock."""
        gap_ms = 0.0
        if at_ms is not None:
            if self._end_ms is not None:
                gap_ms = min(at_ms - self._end_ms, LONGEST_MS) - self._filled_ms
            self._end_ms = at_ms + duration_ms
        elif self._end_ms is not None:
            self._end_ms += duration_ms
        self._until, self._filled_ms = now, 0
        self.overdue_at = now + OVERDUE_S
        return int(gap_ms / FRAME_MS) if gap_ms >= _LEAST_MS else 0

    def overdue(self, now: float) -> int:
        """Frames of silence for what is missing by now."""
        if now < self.overdue_at - 1e-6:
            return 0
        frames = int((now - self._until) * 1000 / FRAME_MS + 1e-6)
        self._until += frames * FRAME_MS / 1000
        self.overdue_at = self._until + OVERDUE_S
        self._filled_ms += frames * FRAME_MS
        return frames
