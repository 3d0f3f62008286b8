"""Knows that a service is away, so that not every request has to find out by waiting for it."""

from voicegate.kernel.clock import Clock

AGAIN_S = 1.0
"""Our choice: who waits a second longer than the outage notices nothing, and one attempt a second costs nothing."""
_LONGEST_TRY_S = 10.0
"""Whoever tries and does not say what came of it does not keep others from it for longer."""


class Breaker:
    """Closed while the service answers. Once it did not, it is open: one attempt is let through ``again_s`` after the
    last one failed, until one succeeds."""

    def __init__(self, clock: Clock, again_s: float = AGAIN_S) -> None:
        self._clock, self._again_s = clock, again_s
        self._is_open = False
        self._trying = False
        self._again_at = 0.0

    @property
    def is_open(self) -> bool:
        """The service is away, as far as we know."""
        return self._is_open

    @property
    def refuses(self) -> bool:
        """It is away, and nobody has been sent to see whether it is back."""
        return self._is_open and not self._trying

    def lets_through(self, *, now: bool = False) -> bool:
        """Whether the caller may try; where it is open, he has then this turn's attempt. ``now``: he is the one who
        looks after the service, and need not wait for a turn."""
        if not self._is_open:
            return True
        if self._clock.monotonic() < self._again_at and not now:
            return False
        self._trying = True
        self._again_at = self._clock.monotonic() + _LONGEST_TRY_S
        return True

    def failed(self) -> None:
        """The service did not answer."""
        self._is_open, self._trying = True, False
        self._again_at = self._clock.monotonic() + self._again_s

    def succeeded(self) -> None:
        """It answered."""
        self._is_open = self._trying = False
