"""A call as its events tell it, folded into the rows that are stored. PURE.

The whole stream is folded, from the first event on, and the rows hold the outcome: writing them twice, or by two
processes, changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from control_api.db.models.model import ConversationStatus, TurnState
from sessions.model import TranscriptEntry
from sessions.transcript import Transcript
from voicegate.kernel.events import (
    Event,
    Failure,
    Latency,
    ReplyFinished,
    ReplyInterrupted,
    SessionEnded,
    SessionStarted,
    ToolFinished,
    TurnCommitted,
)

_FAILED = frozenset({"error", "lost"})
"""Reasons of an end that nobody wanted."""
_LATENCIES = ("voice_to_voice_ms", "endpointing_ms", "stt_ms", "agent_ms", "tts_ms", "playout_ms")


@dataclass(slots=True)
class TurnNotes:
    """What the transcript does not have of a turn."""

    source: str = ""
    ended_at: datetime | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)
    latency: dict[str, float] = field(default_factory=dict)


class Story:
    """One call. Feed it events in order; write :meth:`changed_turns`, and say so with :meth:`written`."""

    def __init__(self) -> None:
        self.last_seq = 0
        self.agent_name = ""
        self.transport = ""
        self.ended_at: datetime | None = None
        self.ended_reason = ""
        self.interruptions = 0
        self.failures = 0
        self._transcript = Transcript()
        self._notes: dict[int, TurnNotes] = {}
        self._changed: set[int] = set()

    @property
    def status(self) -> ConversationStatus:
        if self.ended_at is None:
            return "active"
        return "failed" if self.ended_reason in _FAILED else "ended"

    def apply(self, event: Event) -> None:
        """Fold one event; an older one than the last changes nothing."""
        if event.seq <= self.last_seq:
            return
        self.last_seq = event.seq
        if self._transcript.apply(event) is not None and event.turn is not None:
            self._changed.add(event.turn)
        self._of_the_call(event)
        if event.turn is not None:
            self._of_the_turn(event, event.turn)

    def end(self, reason: str, at: datetime) -> None:
        """It ended without saying so: its process is gone."""
        self.ended_at, self.ended_reason = at, reason

    def changed_turns(self) -> list[dict[str, Any]]:
        """Columns of the turns that changed since :meth:`written`."""
        changed = self._changed
        sides: dict[int, dict[str, TranscriptEntry]] = {number: {} for number in changed}
        for entry in self._transcript.entries():
            if entry.turn in changed:
                sides[entry.turn][entry.role] = entry
        return [self._columns(number, sides[number]) for number in sorted(changed)]

    def written(self) -> None:
        """All that was told so far is stored."""
        self._changed.clear()

    def turns_count(self) -> int:
        """Turns in which anybody said anything."""
        return len({entry.turn for entry in self._transcript.entries()})

    def lines(self) -> list[dict[str, Any]]:
        """The transcript as it is stored with the conversation."""
        return [
            {"turn": entry.turn, "role": entry.role, "text": entry.text, "at": entry.at.isoformat()}
            for entry in self._transcript.entries()
            if entry.text
        ]

    def _of_the_call(self, event: Event) -> None:
        match event:
            case SessionStarted():
                self.agent_name, self.transport = event.agent[:100], event.transport[:50]
                # A call that was taken for lost may go on after all.
                self.ended_at, self.ended_reason = None, ""
            case SessionEnded():
                self.ended_at, self.ended_reason = event.at, event.reason[:100]
            case ReplyInterrupted():
                self.interruptions += 1
            case Failure():
                self.failures += 1
            case _:
                pass

    def _of_the_turn(self, event: Event, turn: int) -> None:
        notes = self._notes.setdefault(turn, TurnNotes())
        match event:
            case TurnCommitted():
                notes.source = event.source
            case ToolFinished():
                notes.tools.append({"name": event.name, "ok": event.ok, "durationMs": round(event.duration_ms, 1)})
            case Latency():
                notes.latency = {name: getattr(event, name) for name in _LATENCIES}
            case ReplyInterrupted() | ReplyFinished():
                notes.ended_at = event.at
            case _:
                return
        self._changed.add(turn)

    def _columns(self, number: int, sides: dict[str, TranscriptEntry]) -> dict[str, Any]:
        notes = self._notes.get(number, TurnNotes())
        user, agent = sides.get("user"), sides.get("agent")
        state: TurnState = agent.state if agent else "listening"
        return {
            "turn": number,
            "user_text": storable(user.text) if user else "",
            "user_source": notes.source,
            "user_at": user.at if user else None,
            "agent_name": storable(agent.agent[:100]) if agent else "",
            "agent_text": storable(agent.text if state != "speaking" else agent.heard) if agent else "",
            "agent_generated": storable(agent.generated) if agent else "",
            "agent_state": state,
            "agent_at": agent.at if agent else None,
            "agent_ended_at": notes.ended_at,
            "tools": list(notes.tools),
            **{name: notes.latency.get(name) for name in _LATENCIES},
        }


def storable(text: str) -> str:
    """Text as PostgreSQL takes it: speech recognition and models may give anything."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def told(events: Iterable[Event]) -> Story:
    """The story of all these events."""
    story = Story()
    for event in events:
        story.apply(event)
    return story
