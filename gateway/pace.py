"""How many new calls a process takes in a second, learnt from what the calls that it has cost it. PURE.

Lateness (:mod:`gateway.load`) tells that there are too many calls once there are, and then it is too late: nobody who
was let in is sent away, and a second is long enough for a hundred more to come. So the room that seems to be left is
filled in small portions only: a call shows what it costs some seconds after it began.
"""

import math
from dataclasses import dataclass
from typing import Final

_FEW: Final = 5
"""Calls whose cost says little: most of it is the process's own."""


@dataclass(frozen=True, slots=True)
class PaceConfig:
    busy: float = 0.85
    """Share of its time that a process should be busy at most."""
    portion: float = 0.25
    """Of the room that is left, taken in one second."""
    first: int = 50
    """New calls in a second while there are too few to learn from."""
    when_late: int = 10
    """New calls in a second after one in which the clock was late: a machine may stall for once, and where it goes on
    being late none are taken soon."""
    least: int = 2
    """New calls in a second however little room is left: lateness has the last word."""


class Pace:
    """One a process. :meth:`take` for each new call, :meth:`judge` once a second; before the first, all are let in."""

    def __init__(self, config: PaceConfig | None = None) -> None:
        self._config = config or PaceConfig()
        self._left = math.inf

    def take(self) -> bool:
        """One call begins; False: it has to wait."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def judge(self, busy: float, calls: int, *, late: bool) -> None:
        """A second is over in which ``calls`` made the process ``busy`` for this share of its time. ``late``: its clock
        was, whatever the reason."""
        config = self._config
        if late:
            self._left = config.when_late
        elif calls < _FEW or busy <= 0:
            self._left = config.first
        else:
            room = (config.busy - busy) * calls / busy
            self._left = max(config.least, math.floor(room * config.portion))
