"""The floor: who has it, and the moves by which it passes from one side to the other. PURE.

The turn machine (:mod:`pipeline.turn`) decides when a move is made; what belongs together in a move is done here. Each
move yields the commands for the driver, in order.
"""

from collections.abc import Iterator
from typing import Final

from pipeline.ports import Transcription
from pipeline.turn_messages import (
    CancelReply,
    CommitTranscript,
    CommitTurn,
    EndCall,
    Notify,
    PausePlayout,
    ReleaseReply,
    ReplyDrained,
    ReplyKind,
    ResumePlayout,
    RevokeReply,
    StartReply,
    TurnCommand,
)
from pipeline.turn_state import Reply, TurnConfig, Utterance
from voicegate.kernel.ids import ReplyId, TurnId

_BY_AGENT: Final = frozenset({"answer", "greeting", "idle", "resume"})
"""Kinds of reply that prove, once heard to the end, that agent and voice work."""


class Floor:
    """Of one session. A reply and a speculation never exist together, and never two of either."""

    def __init__(self, config: TurnConfig, first_turn: int) -> None:
        self.utterance: Utterance | None = None
        """What the caller is saying, not yet committed."""
        self.speculation: Reply | None = None
        """A reply to the utterance as it stands, not released."""
        self.reply: Reply | None = None
        """It has the floor."""
        self.paused = False
        """The reply is: the caller speaks over it."""
        self.quiet_since: float | None = None
        self.prompts = 0
        """In a row, without an answer."""
        self.failures = 0
        """In a row."""
        self._config = config
        self._next_turn = first_turn
        self._attempt = 0

    @property
    def pending_turn(self) -> TurnId:
        """The id that the next committed turn will have."""
        return TurnId(self._next_turn)

    # --- it changes hands ---

    def take(self) -> Iterator[TurnCommand]:
        """The caller's words, or their length, end the reply they were said over."""
        if self.utterance and self.reply:
            self.utterance.took_floor = True
        yield from self.drop("barge_in")

    def commit(self, at: float, utterance: Utterance, heard: Transcription) -> Iterator[TurnCommand]:
        """The turn is over: what was prepared for it gets the floor, or a reply begins now."""
        yield from self.take()
        reply, self.speculation, self.utterance = self.speculation, None, None
        yield CommitTranscript(utterance.mark)
        if reply and reply.failed:
            yield RevokeReply(reply.id)
            reply = None
        if reply is None:
            reply = self.new_reply("answer")
            yield StartReply(reply.id, "answer", heard.text, heard.confidence)
        yield CommitTurn(reply.id.turn, heard.text, "speech", heard.confidence)
        yield from self.release(at, reply)

    def record(self) -> Iterator[TurnCommand]:
        """What the caller said and was understood stays said, although no reply of its own follows."""
        yield from self.revoke()
        utterance = self.utterance
        if utterance and utterance.heard:
            self.utterance = None
            yield CommitTranscript(utterance.mark)
            yield CommitTurn(self.pending_turn, utterance.heard.text, "speech", utterance.heard.confidence)
            self._next_turn += 1

    def release(self, at: float, reply: Reply) -> Iterator[TurnCommand]:
        """``reply`` gets the floor; it waits if the caller is speaking already."""
        self.reply, self._next_turn = reply, reply.id.turn + 1
        reply.silent_since = at
        yield ReleaseReply(reply.id)
        if self.utterance:
            self.utterance.over = False
            if self.utterance.speaking:
                self.paused = True
                yield PausePlayout()

    def speak(self, at: float, kind: ReplyKind, text: str = "", end_reason: str | None = None) -> Iterator[TurnCommand]:
        """The agent takes the floor of its own accord; with ``end_reason`` the call ends with it."""
        reply = self.new_reply(kind)
        reply.end_reason = end_reason
        yield StartReply(reply.id, kind, text)
        yield from self.release(at, reply)

    def drop(self, reason: str) -> Iterator[TurnCommand]:
        """The reply that has the floor, if any, ends where it is."""
        reply, self.reply, self.paused = self.reply, None, False
        if reply:
            yield CancelReply(reply.id, reason)

    def resume(self, at: float, reply: Reply) -> Iterator[TurnCommand]:
        """It was no barge-in: the reply goes on where it stopped."""
        if self.paused:
            self.paused, reply.silent_since = False, at
            yield ResumePlayout()

    def revoke(self) -> Iterator[TurnCommand]:
        """The speculation leaves no trace."""
        speculation, self.speculation = self.speculation, None
        if speculation:
            yield RevokeReply(speculation.id)

    def new_reply(self, kind: ReplyKind) -> Reply:
        self._attempt += 1
        return Reply(ReplyId(self.pending_turn, self._attempt), kind)

    # --- the agent comes to an end ---

    def drained(self, event: ReplyDrained, reply: Reply) -> Iterator[TurnCommand]:
        """All of ``reply`` was played."""
        self.reply, self.paused, self.quiet_since = None, False, event.at
        if reply.end_reason is not None:
            yield EndCall(reply.end_reason)
        elif reply.failed and self.utterance:
            self.failures += 1  # nothing is said over the caller; but if it was a cough, something must be
            self.utterance.took_floor = True
        elif reply.failed:
            yield from self.fail(event.at, "apology")
        elif reply.kind in _BY_AGENT:
            self.failures = 0

    def failed(self, at: float, reply: Reply) -> Iterator[TurnCommand]:
        """What plays still plays, and while the caller speaks nothing is said; then the reply's deadline is due."""
        if self.utterance is None and not reply.audible:
            yield from self.give_up(at, reply)

    def give_up(self, at: float, reply: Reply) -> Iterator[TurnCommand]:
        """The reply failed and plays nothing: say so, or end if even that fails."""
        yield from self.drop("failed")
        if reply.end_reason is not None:
            yield EndCall(reply.end_reason)
        else:
            yield from self.fail(at, "apology")

    def fail(self, at: float, kind: ReplyKind) -> Iterator[TurnCommand]:
        """One more failure: the agent says that something went wrong, or the call ends."""
        self.failures += 1
        if self.failures > self._config.failures:
            yield Notify("provider_failed", "too many failures in a row; the call ends")
            yield EndCall("provider_failed")
        else:
            yield from self.speak(at, kind)

    def prompt(self, at: float, kind: ReplyKind) -> Iterator[TurnCommand]:
        """Nobody answers: ask, at last say goodbye, and end even if noise talks over that."""
        self.prompts += 1
        if self.prompts <= self._config.idle_prompts:
            yield from self.speak(at, kind)
        elif self.prompts == self._config.idle_prompts + 1:
            yield from self.speak(at, "farewell", end_reason="idle")
        else:
            yield EndCall("idle")
