"""The transcript as a fold over events: what was said, and of the agent's words only what was heard. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from sessions.model import Role, TranscriptEntry
from voicegate.kernel.events import (
    Event,
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    ReplyStarted,
    ReplyText,
    TurnCommitted,
)
from voicegate.kernel.ids import TurnId

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TranscriptEntry)


def field_name(entry: TranscriptEntry) -> str:
    """The entry's place in the transcript: one a turn and role."""
    return f"{entry.turn}:{entry.role}"


def encode_entry(entry: TranscriptEntry) -> bytes:
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> TranscriptEntry:
    return _decoder.decode(data)


def in_order(entries: Iterable[TranscriptEntry]) -> tuple[TranscriptEntry, ...]:
    """By turn, the user before the agent."""
    return tuple(sorted(entries, key=lambda entry: (entry.turn, entry.role == "agent")))


def settle(entry: TranscriptEntry) -> TranscriptEntry:
    """The entry after its speaker vanished: a reply still being spoken counts only as far as it was heard."""
    if entry.state != "speaking":
        return entry
    return replace(entry, state="interrupted", text=entry.heard)


@dataclass(slots=True)
class _Reply:
    """The reply a turn is speaking. A filler and the answer after it are two replies of one entry."""

    before: str
    """What was heard of the turn's earlier replies."""
    generated: str = ""


class Transcript:
    """Entries of one session, kept up to date by :meth:`apply`.

    Text that comes after a reply was closed is ignored: it was not heard. A reply whose start was not seen is opened
    by its first words.
    """

    def __init__(self, entries: Iterable[TranscriptEntry] = ()) -> None:
        self._entries: dict[tuple[TurnId, Role], TranscriptEntry] = {(e.turn, e.role): e for e in entries}
        self._replies: dict[TurnId, _Reply] = {}

    def entries(self) -> tuple[TranscriptEntry, ...]:
        return in_order(self._entries.values())

    def apply(self, event: Event) -> TranscriptEntry | None:
        """The entry that ``event`` changed or added, if it did."""
        if event.turn is None:
            return None
        changed = self._changed(event, event.turn)
        if changed is not None:
            self._entries[changed.turn, changed.role] = changed
        return changed

    def _changed(self, event: Event, turn: TurnId) -> TranscriptEntry | None:
        match event:
            case TurnCommitted(text=text, at=at):
                return TranscriptEntry(turn, "user", text, at)
            case ReplyStarted(agent=agent, at=at):
                return self._start(turn, agent, at)
            case ReplyText(text=text, at=at):
                return self._generate(turn, text, at)
            case ReplyHeard(text=heard, at=at):
                return self._hear(turn, heard, at)
            case ReplyInterrupted(heard=heard, cut=cut, at=at):
                return self._close(turn, heard, _join(heard, cut), at, interrupted=True)
            case ReplyFinished(text=text, at=at):
                return self._close(turn, text, text, at, interrupted=False)
            case _:
                return None

    def _start(self, turn: TurnId, agent: str, at: datetime) -> TranscriptEntry:
        earlier = self._entries.get((turn, "agent"))
        if earlier is None:
            self._replies[turn] = _Reply("")
            return TranscriptEntry(turn, "agent", "", at, state="speaking", agent=agent)
        before = settle(earlier).text
        self._replies[turn] = _Reply(before)
        return replace(earlier, text=before, heard=before, state="speaking", agent=agent or earlier.agent)

    def _open(self, turn: TurnId, at: datetime) -> tuple[TranscriptEntry, _Reply] | None:
        """The turn's reply if it is being spoken; opened now if nothing is known of it."""
        entry = self._entries.get((turn, "agent"))
        if entry is None:
            entry = self._start(turn, "", at)
        if entry.state != "speaking":
            return None
        return entry, self._replies.setdefault(turn, _Reply(""))

    def _generate(self, turn: TurnId, text: str, at: datetime) -> TranscriptEntry | None:
        opened = self._open(turn, at)
        if opened is None:
            return None
        entry, reply = opened
        reply.generated = _join(reply.generated, text)
        return replace(entry, text=_join(reply.before, reply.generated), generated=_join(entry.generated, text))

    def _hear(self, turn: TurnId, heard: str, at: datetime) -> TranscriptEntry | None:
        opened = self._open(turn, at)
        if opened is None:
            return None
        entry, reply = opened
        return replace(entry, heard=_join(reply.before, heard))

    def _close(
        self, turn: TurnId, heard: str, generated: str, at: datetime, *, interrupted: bool
    ) -> TranscriptEntry | None:
        opened = self._open(turn, at)
        if opened is None:
            return None
        entry, reply = opened
        if not reply.generated:
            entry = replace(entry, generated=_join(entry.generated, generated))
        del self._replies[turn]
        text = _join(reply.before, heard)
        return replace(entry, text=text, heard=text, state="interrupted" if interrupted else "finished")


def _join(first: str, second: str) -> str:
    return f"{first} {second}" if first and second else first or second
