"""Whether the peer is still there: when to ask, when it is gone, when it came back. Pure; time is an argument.

Only silence that we listened to counts. A process that was stopped for two seconds has heard nobody, and must not take
all of its callers for gone: datagrams wait in their sockets meanwhile.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

ASK_AGAIN_S: Final = 0.2
ASK_AWAY_S: Final = 1.0
"""How often a peer that is away is asked."""
LOOK_S: Final = 0.08
"""How often it is worth looking."""
MOST_STEP_S: Final = 0.1
"""What one tick adds to the silence at most."""


class Sign(Enum):
    NOTHING = auto()
    ASK = auto()
    """Ask for a sign of life."""
    GONE = auto()
    """Once: it has not answered."""
    BACK = auto()
    """Once: it is heard again after it was gone."""
    FORGET = auto()
    """It does not come back."""


@dataclass(slots=True)
class Presence:
    """One peer's. Begin when media can flow."""

    quiet_s: float
    """Silence before it is asked."""
    gone_s: float
    forget_s: float
    now_s: float
    """The last tick."""
    heard: int = 0
    away: bool = False
    _silent_s: float = 0.0
    _since_asked_s: float = 0.0

    def tick(self, heard: int, now_s: float) -> Sign:
        """``heard`` rises with every sign of life. Call it every :data:`LOOK_S` or so."""
        step = min(now_s - self.now_s, MOST_STEP_S)
        self.now_s = now_s
        if heard != self.heard:
            self.heard, self._silent_s, self._since_asked_s = heard, 0.0, self.quiet_s
            back, self.away = self.away, False
            return Sign.BACK if back else Sign.NOTHING
        self._silent_s += step
        self._since_asked_s += step
        if self._silent_s >= self.forget_s:
            return Sign.FORGET
        if not self.away and self._silent_s >= self.gone_s:
            self.away = True
            return Sign.GONE
        return self._ask()

    def _ask(self) -> Sign:
        every = ASK_AWAY_S if self.away else ASK_AGAIN_S
        if self._silent_s < self.quiet_s or self._since_asked_s < every:
            return Sign.NOTHING
        self._since_asked_s = 0.0
        return Sign.ASK
