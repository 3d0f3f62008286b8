"""Numbers a session's events and hands them to the sink."""

from typing import Any, TypeVar

from pipeline.ports import EventSink
from voicegate.kernel.clock import Clock
from voicegate.kernel.events import Event, EventBase
from voicegate.kernel.ids import SessionId, TurnId

_E = TypeVar("_E", bound=EventBase)


class Reporter:
    """The one place where ``seq`` is counted."""

    def __init__(self, session_id: SessionId, sink: EventSink, clock: Clock, *, next_seq: int = 1) -> None:
        self.session_id = session_id
        self._sink = sink
        self._clock = clock
        self._seq = next_seq - 1

    def emit(self, kind: type[Event], turn: TurnId | None = None, /, **fields: Any) -> None:
        """Report an event of type ``kind`` with these fields."""
        self._seq += 1
        self._sink.emit(kind(session_id=self.session_id, seq=self._seq, at=self._clock.utc(), turn=turn, **fields))

    async def stored(self) -> None:
        """Return when everything emitted so far is stored (or cannot be for now)."""
        await self._sink.stored()
