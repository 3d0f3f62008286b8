"""How long to wait for a packet that was overtaken. PURE.

The measure is the late time of RFC 4737 §4.2.2: from the moment when a newer packet showed that one is missing until
the missing one comes. A network that keeps the order makes it 0 however much it stalls, so that a lost packet there
costs hardly a wait; one that reorders shows by how much. It needs no clock of the sender, hence knows no drift.
"""

from typing import Final

MIN_PATIENCE_S: Final = 0.010
"""Our choice: two packets that were sent together may always change places."""
MAX_PATIENCE_S: Final = 0.120
"""Our choice: above it the conversation suffers more from the wait than from the gap."""
FIRST_PATIENCE_S: Final = 0.060
"""Until something is known."""
TOLERATED: Final = 0.001
"""Of all packets may be given up although they come. Our choice: with the memory below it is the worst late time of the
last seven seconds."""

_BIN_S: Final = 0.005
_BINS: Final = 50
_MEMORY: Final = 250
"""Packets after which an observation counts 1/e: 5 s."""
_GROWTH: Final = 1 + 1 / _MEMORY
_RESCALE_AT: Final = 1e6


class Patience:
    """A decaying histogram of late times and its quantile at ``1 - TOLERATED``.

    Observations grow in weight instead of all older ones fading, so that a packet in order costs one addition.
    """

    __slots__ = ("_all", "_bins", "_late", "_weight")

    def __init__(self) -> None:
        self._weight = 1.0
        self._all = 0.0
        self._late = 0.0
        self._bins = [0.0] * _BINS
        self.came(FIRST_PATIENCE_S)

    def in_order(self) -> None:
        """A packet came when it was due."""
        self._all += self._weight
        self._weight *= _GROWTH
        if self._weight > _RESCALE_AT:
            self._rescale()

    def came(self, late_s: float) -> None:
        """A packet came ``late_s`` after it was missed, in time or too late."""
        self._bins[min(_BINS - 1, int(late_s / _BIN_S))] += self._weight
        self._late += self._weight
        self.in_order()

    @property
    def seconds(self) -> float:
        """How long to wait, between the two bounds."""
        allowed = TOLERATED * self._all
        if self._late <= allowed:
            return MIN_PATIENCE_S
        place = _BINS
        while allowed >= 0 and place > 0:
            place -= 1
            allowed -= self._bins[place]
        return min(MAX_PATIENCE_S, max(MIN_PATIENCE_S, (place + 1) * _BIN_S))

    def _rescale(self) -> None:
        self._bins = [each / self._weight for each in self._bins]
        self._all /= self._weight
        self._late /= self._weight
        self._weight = 1.0
