"""What goes on right now: the calls that run, and the turns of the last minute. PURE.

It is kept in memory: the consumer of every process follows all calls, so each process knows by itself. A call that is
read again brings its turns under the same names, and they are counted once.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control_api.analytics.histogram import bucket_of, percentile_ms
from voicegate.kernel.events import Event, Latency, TurnCommitted

WINDOW_S = 60.0
_MOST = 200_000
"""Events that are remembered at most, of all organisations: a process cannot follow calls that have more."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one organisation."""

    calls: int
    turns_per_minute: int
    voice_to_voice_p50_ms: float | None
    """Of the last minute; None: nobody was answered in it."""
    voice_to_voice_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class _Turn:
    organization_id: UUID
    at: datetime
    bucket: int | None
    """None: a turn was committed; else somebody was answered."""


class Recent:
    def __init__(self) -> None:
        self._running: dict[str, UUID] = {}
        self._turns: dict[tuple[str, int], _Turn] = {}

    def begun(self, session_id: str, organization_id: UUID) -> None:
        """The call runs."""
        self._running[session_id] = organization_id

    def over(self, session_id: str) -> None:
        """It does not run any more."""
        self._running.pop(session_id, None)

    def heard(self, session_id: str, organization_id: UUID, event: Event, now: datetime) -> None:
        """An event of a call; those that are older than the window count for nothing. ``now`` is UTC."""
        match event:
            case TurnCommitted():
                turn = _Turn(organization_id, event.at, None)
            case Latency():
                turn = _Turn(organization_id, event.at, bucket_of(event.voice_to_voice_ms))
            case _:
                return
        if now - event.at < timedelta(seconds=WINDOW_S):
            self._turns[session_id, event.seq] = turn
            if len(self._turns) > _MOST:
                self._turns.pop(next(iter(self._turns)))

    def figures(self, organization_id: UUID, now: datetime) -> Figures:
        """How things stand."""
        self._forget(now)
        turns = [turn for turn in self._turns.values() if turn.organization_id == organization_id]
        waits: Mapping[int, int] = Counter(turn.bucket for turn in turns if turn.bucket is not None)
        return Figures(
            calls=sum(each == organization_id for each in self._running.values()),
            turns_per_minute=sum(turn.bucket is None for turn in turns),
            voice_to_voice_p50_ms=percentile_ms(waits, 0.5),
            voice_to_voice_p95_ms=percentile_ms(waits, 0.95),
        )

    def _forget(self, now: datetime) -> None:
        begin = now - timedelta(seconds=WINDOW_S)
        self._turns = {name: turn for name, turn in self._turns.items() if turn.at > begin}
