"""How loaded this process is, learnt from how late its clock ticks. PURE: lateness and seconds in, a level out.

Lateness comes suddenly: at 95 % of a core everything is on time. So what callers miss least is also shed when the
process is busy, before new calls have to wait (:mod:`gateway.pace`).

A process has room as long as its 20 ms clock (:mod:`gateway.metronome`) comes on time: lateness is what callers hear,
whatever causes it, and no constant of calls per core has to be guessed. Once a second the level moves by one step (by
two when the clock is very late). Each step sheds what callers miss least. New calls are refused one step before answers
come later: who is talking already should not notice that others are refused. Calls in progress are never ended.

A late second counts at once. How busy a second is says less: people ask at the same time by chance. So that is judged
by the mean of some seconds, and a process with a usual load does not shed now and then.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class LoadLevel(IntEnum):
    """What is shed; each level sheds all that the levels before it do."""

    NORMAL = 0
    NO_INTERIMS = 1
    """No interim transcripts: nobody hears them. No recordings of turns either."""
    NO_DOUBTS = 2
    """A reply is prepared before the turn is over only where the caller has hardly more to say."""
    FULL = 3
    """No new calls."""
    NO_SPECULATION = 4
    """No reply is prepared before the turn is over: answers come later, and none is made in vain."""


NOTICES: Final[dict[LoadLevel, str]] = {
    LoadLevel.NORMAL: "the load is normal again",
    LoadLevel.NO_INTERIMS: "high load: no interim transcripts",
    LoadLevel.NO_DOUBTS: "high load: replies are prepared only for finished sentences",
    LoadLevel.FULL: "high load: no new calls are taken",
    LoadLevel.NO_SPECULATION: "high load: replies are prepared only when the turn is over",
}
"""What the calls are told, as ``notice`` with the code ``load``."""


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """Lateness in seconds. Our choice: a jitter buffer at the caller covers 20 to 60 ms."""

    late_s: float = 0.015
    """A second in which every tenth tick was at least so late is a bad one: one level up. 0 turns all of this off."""
    very_late_s: float = 0.060
    """... then two levels up, and as far as ``NO_SPECULATION``; mere lateness goes no further than ``FULL``."""
    calm_s: float = 0.006
    """A second in which fewer than every tenth tick was so late is a good one."""
    busy: float = 0.75
    """Share of its time that makes a second a bad one too, but only up to ``NO_DOUBTS`` ..."""
    rested: float = 0.65
    """... and below which it can be a good one ..."""
    busy_seconds: int = 3
    """... as the mean of so many seconds."""
    good_seconds: int = 2
    """Good seconds in a row for one level down; each that follows is worth another one."""
    share: float = 0.1


class LoadGauge:
    """One a process. :meth:`observe` for each tick, :meth:`judge` once a second."""

    def __init__(self, config: LoadConfig | None = None) -> None:
        self._config = config or LoadConfig()
        self._level = LoadLevel.NORMAL
        self._ticks = self._late = self._very_late = self._not_calm = 0
        self._good = 0
        self._was_late = False
        self._busy: deque[float] = deque(maxlen=self._config.busy_seconds)

    @property
    def late(self) -> bool:
        """The last second's clock was late."""
        return self._was_late

    @property
    def level(self) -> LoadLevel:
        return self._level

    @property
    def full(self) -> bool:
        """No new call may be taken."""
        return self._level >= LoadLevel.FULL

    def observe(self, lateness_s: float) -> None:
        """One tick of the clock came ``lateness_s`` after its time."""
        self._ticks += 1
        if lateness_s >= self._config.calm_s:
            self._not_calm += 1
            if lateness_s >= self._config.late_s:
                self._late += 1
                if lateness_s >= self._config.very_late_s:
                    self._very_late += 1

    def judge(self, busy: float = 0.0) -> LoadLevel:
        """A second is over, of which the process was ``busy`` for this share: the new level. A second without a tick is
        a good one: nobody calls."""
        config, enough = self._config, max(1.0, self._ticks * self._config.share)
        self._busy.append(busy)
        busy = sum(self._busy) / len(self._busy)
        late = config.late_s > 0 and self._late >= enough
        very_late = late and self._very_late >= enough
        calm = self._not_calm < enough and busy < config.rested
        self._was_late = late
        self._ticks = self._late = self._very_late = self._not_calm = 0
        if late:
            self._good = 0
            self._rise(2 if very_late else 1, LoadLevel.NO_SPECULATION if very_late else LoadLevel.FULL)
        elif config.late_s > 0 and busy >= config.busy and self._level < LoadLevel.NO_DOUBTS:
            self._good = 0
            self._rise(1, LoadLevel.NO_DOUBTS)
        elif calm:
            self._good += 1
            if self._good >= config.good_seconds and self._level:
                self._level = LoadLevel(self._level - 1)
        else:
            self._good = 0
        return self._level

    def _rise(self, steps: int, most: LoadLevel) -> None:
        self._level = max(self._level, LoadLevel(min(most, self._level + steps)))
