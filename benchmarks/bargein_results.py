"""What one barge-in, or one short noise, led to. PURE."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller spoke over a reply."""

    clip: str
    after_s: float
    """After the reply's first audio."""
    stop_ms: float | None
    """From the caller's first voiced sample to the reply's last one; None when it happened to be silent already."""
    interrupted: bool
    """The gateway took it for a barge-in."""
    words_told: int | None = None
    """Heard by the gateway's account."""
    words_received: int | None = None
    """Whose audio really came; None where that cannot be told."""

    @property
    def words_off(self) -> int | None:
        """Told minus received."""
        if self.words_told is None or self.words_received is None:
            return None
        return self.words_told - self.words_received


@dataclass(frozen=True, slots=True)
class Cough:
    """A noise of 200 ms over a reply."""

    kind: str
    after_s: float
    paused_ms: int
    """The longest gap in the reply's audio after it; 0: it did not pause."""
    finished: bool
    """The reply went on to its end."""
    turns: int
    """Turns it was taken for; must be 0."""

    @property
    def right(self) -> bool:
        return self.finished and self.turns == 0
