"""What an agent puts out, as events of the union that calls have too. PURE."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.ports import AgentOutput, HandedOff, TextDelta, TokensUsed, ToolCalled, ToolReturned
from voicegate.kernel.events import (
    Event,
    EventBase,
    Failure,
    Handoff,
    ReplyFinished,
    ReplyStarted,
    ReplyText,
    SessionEnded,
    ToolFinished,
    ToolStarted,
    Usage,
)
from voicegate.kernel.ids import SessionId, TurnId


@dataclass(slots=True)
class ToolCall:
    """A tool that ran."""

    called: ToolCalled
    began_s: float
    returned: ToolReturned | None = None
    duration_ms: float = 0.0


@dataclass(slots=True)
class Telling:
    """One reply. ``at`` and ``now_s`` of every call are the wall clock's and the monotonic clock's time."""

    session_id: SessionId
    turn: TurnId
    agent: str
    """Who speaks now."""
    provider: str
    seq: int
    """Of the last event."""
    text: str = ""
    tools: list[ToolCall] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    ended: str | None = None
    """The agent ends the conversation: why."""
    _unsent: str = ""

    def begin(self, at: datetime) -> Iterator[Event]:
        """Before the first output."""
        yield self._event(ReplyStarted, at, kind="answer", agent=self.agent)

    def tell(self, output: AgentOutput, at: datetime, now_s: float) -> Iterator[Event]:
        """The events of one output."""
        if not isinstance(output, TextDelta):
            yield from self._flush(at)
        match output:
            case TextDelta(text):
                yield from self._said(text, at)
            case ToolCalled():
                self.tools.append(ToolCall(output, now_s))
                yield self._event(ToolStarted, at, call_id=output.call_id, name=output.name, arguments=output.arguments)
            case ToolReturned():
                yield from self._returned(output, at, now_s)
            case HandedOff(giver, taker):
                self.agent = taker
                yield self._event(Handoff, at, from_agent=giver, to_agent=taker)
            case TokensUsed(given, made):
                yield from self._used(at, given, "input_tokens")
                yield from self._used(at, made, "output_tokens")
            case _:  # CallEnded
                self.ended = output.reason

    def finish(self, at: datetime) -> Iterator[Event]:
        """After the last output."""
        yield from self._flush(at)
        yield self._event(ReplyFinished, at, text=self.text)
        if self.ended is not None:
            yield self._event(SessionEnded, at, reason=self.ended)

    def fail(self, code: str, message: str, at: datetime, *, retryable: bool) -> Iterator[Event]:
        """Instead of :meth:`finish`."""
        yield from self._flush(at)
        yield self._event(Failure, at, code=code, message=message, stage="reply", retryable=retryable)

    def _said(self, text: str, at: datetime) -> Iterator[Event]:
        self.text += text
        # Pieces are joined by a space, so that one is not sent.
        self._unsent += text.removeprefix(" ") if self.text != text and not self._unsent else text
        whole, space, rest = self._unsent.rpartition(" ")
        if space and whole:
            self._unsent = rest
            yield self._event(ReplyText, at, text=whole)

    def _flush(self, at: datetime) -> Iterator[Event]:
        unsent, self._unsent = self._unsent, ""
        if unsent.strip():
            yield self._event(ReplyText, at, text=unsent)

    def _returned(self, output: ToolReturned, at: datetime, now_s: float) -> Iterator[Event]:
        call = next((each for each in self.tools if each.called.call_id == output.call_id), None)
        if call is None:
            return
        call.returned, call.duration_ms = output, round((now_s - call.began_s) * 1000, 1)
        yield self._event(
            ToolFinished,
            at,
            call_id=output.call_id,
            name=output.name,
            ok=output.ok,
            result=output.result,
            duration_ms=call.duration_ms,
        )

    def _used(self, at: datetime, quantity: int, unit: str) -> Iterator[Event]:
        if quantity:
            used = self._event(Usage, at, stage="agent", provider=self.provider, quantity=quantity, unit=unit)
            self.usage.append(used)
            yield used

    def _event(self, kind: type[Any], at: datetime, /, **fields: Any) -> Any:
        assert issubclass(kind, EventBase)
        self.seq += 1
        return kind(session_id=self.session_id, seq=self.seq, at=at, turn=self.turn, **fields)
