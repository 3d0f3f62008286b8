"""The turn machine: who may speak. PURE: events in, commands out, time as data.

Read this before you edit:

* ``handle`` is the only way in. It never raises on a legal event, in any state; stale events (an old mark, an old
  reply) are recognised by their ids and change nothing.
* Two things are independent and must stay so: the *utterance* (what the caller is saying, not yet committed) and the
  *reply* (what the agent is saying, released). A *speculation* is a reply to the utterance as it stands, not released.
* A reply and a speculation never exist together, and never two of either: playout has room for one.
* When the floor passes from one side to the other is decided here; how, stands in :mod:`pipeline.floor`.
* No state lasts in silence longer than its bound. ``deadline`` says when the machine wants :class:`TimePassed`; the
  utterance's comes first, then the reply's, then the idle prompt's. Handling it must move it or end the state.
* A new race is a new row in ``tests/unit/pipeline/test_turn.py`` first.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from pipeline.backchannel import is_backchannel
from pipeline.floor import Floor
from pipeline.ports import Transcription
from pipeline.turn_messages import (
    CallBegan,
    CallerMuted,
    CallerUnmuted,
    CommitTurn,
    DiscardTranscript,
    EndCall,
    EndOrdered,
    HungUp,
    InterimHeard,
    LastWordsOrdered,
    MarkAnswered,
    MarkTranscript,
    PausePlayout,
    ReplyAudible,
    ReplyDrained,
    ReplyFailed,
    ReplyStarved,
    ReplyStopped,
    SayFiller,
    SayOrdered,
    SpeechBegan,
    SpeechEnded,
    StartReply,
    TextGiven,
    TimePassed,
    TranscriptionFailed,
    TurnCommand,
    TurnEvent,
    TurnSource,
    UtteranceFlushed,
)
from pipeline.turn_state import Reply, TurnConfig, Utterance
from voicegate.kernel.ids import ReplyId, TurnId

_MATTERS_TO_THE_LAST: Final = (ReplyAudible, ReplyStarved, ReplyDrained, ReplyFailed, HungUp, TimePassed)
"""While last words are said, nothing else changes that the call ends with them."""


class TurnMachine:
    """One session's floor."""

    def __init__(self, config: TurnConfig | None = None, *, first_turn: int = 1) -> None:
        self._config = config or TurnConfig()
        self._floor = Floor(self._config, first_turn)
        self._mark = 0
        self._orders: deque[str] = deque()
        self._muted = False
        self._leaving = False
        self._ended = False

    # --- what the driver may ask ---

    @property
    def deadline(self) -> float | None:
        """When the machine wants :class:`TimePassed` at the latest; None while nothing is pending."""
        if self._ended:
            return None
        if self._floor.utterance:
            return self._floor.utterance.deadline(self._config, paused=self._floor.paused)
        if self._floor.reply:
            return self._floor.reply.deadline(self._config)
        if self._floor.quiet_since is None or self._muted or not self._config.idle_s:
            return None
        return self._floor.quiet_since + self._config.idle_s

    @property
    def reply(self) -> ReplyId | None:
        """The reply that holds the floor."""
        return self._floor.reply.id if self._floor.reply else None

    @property
    def at_rest(self) -> bool:
        """Between two turns: nobody has the floor or is about to get it."""
        return self._floor.utterance is None and self._floor.reply is None and not self._orders

    @property
    def pending_turn(self) -> TurnId:
        """The id that the next committed turn will have."""
        return self._floor.pending_turn

    def handle(self, event: TurnEvent) -> list[TurnCommand]:
        """Take one event, return what is to be done, in order."""
        if self._ended or (self._leaving and not isinstance(event, _MATTERS_TO_THE_LAST)):
            return []
        commands = list(self._handle(event))
        self._ended = any(isinstance(command, EndCall) for command in commands)
        if self._orders and not (self._ended or self._floor.utterance or self._floor.reply):
            commands += self._floor.speak(event.at, "say", self._orders.popleft())
        return commands

    # --- events ---

    def _handle(self, event: TurnEvent) -> Iterator[TurnCommand]:
        match event:
            case SpeechBegan() | SpeechEnded() | InterimHeard() | MarkAnswered() | TranscriptionFailed():
                yield from self._on_voice(event)
            case ReplyAudible() | ReplyStarved() | ReplyDrained() | ReplyFailed() | EndOrdered():
                yield from self._on_reply(event)
            case UtteranceFlushed(at):
                yield from self._flushed(at)
            case TextGiven(at, text, source):
                yield from self._text_given(at, text, source)
            case CallBegan(at, opening):
                self._floor.quiet_since = at
                if opening:
                    yield from self._floor.speak(at, opening)
            case SayOrdered() | LastWordsOrdered() | CallerMuted() | CallerUnmuted():
                yield from self._on_order(event)
            case ReplyStopped(at):
                yield from self._floor.drop("stopped")
                self._floor.quiet_since, self._floor.prompts = at, 0
            case HungUp(_, reason):
                yield from self._floor.drop("hung_up")
                yield from self._floor.record()
                yield EndCall(reason)
            case _:
                yield from self._time_passed(event)

    def _on_voice(
        self, event: SpeechBegan | SpeechEnded | InterimHeard | MarkAnswered | TranscriptionFailed
    ) -> Iterator[TurnCommand]:
        utterance = self._floor.utterance
        match event:
            case SpeechBegan(_, since, left_s):
                yield from self._speech_began(since, left_s)
            case SpeechEnded(_, until, voiced_s):
                yield from self._speech_ended(until, voiced_s)
            case InterimHeard(_, text):
                words = len(text.split())
                if self._floor.paused and words >= self._config.barge_in_words and not is_backchannel(text):
                    yield from self._floor.take()
            case MarkAnswered(at, mark, transcription):
                if utterance and utterance.mark == mark and utterance.heard is None:
                    yield from self._marked(at, utterance, transcription)
            case _:
                yield from self._transcription_failed(event)

    def _on_reply(
        self, event: ReplyAudible | ReplyStarved | ReplyDrained | ReplyFailed | EndOrdered
    ) -> Iterator[TurnCommand]:
        reply = next(
            (one for one in (self._floor.reply, self._floor.speculation) if one and one.id == event.reply), None
        )
        if reply is None or (reply is not self._floor.reply and isinstance(event, ReplyStarved | ReplyDrained)):
            return  # of an old reply, or of one that is held and so plays nothing
        match event:
            case ReplyAudible(_, _, filler):
                reply.audible, reply.fillers = True, reply.fillers if filler else 0
            case EndOrdered(_, _, reason):
                reply.end_reason = reason
            case ReplyFailed(at):
                reply.failed = True
                if reply is self._floor.reply:
                    yield from self._floor.failed(at, reply)
            case ReplyStarved(at):
                reply.audible, reply.silent_since = False, at
            case _:
                yield from self._floor.drained(event, reply)

    # --- an operator orders ---

    def _on_order(self, event: SayOrdered | LastWordsOrdered | CallerMuted | CallerUnmuted) -> Iterator[TurnCommand]:
        match event:
            case SayOrdered(_, text, interrupt):
                self._orders.append(text)
                if interrupt and self._floor.utterance is None:
                    yield from self._floor.drop("replaced")
            case LastWordsOrdered(at, text, reason):
                yield from self._say_goodbye(at, text, reason)
            case CallerMuted():
                self._muted = True
            case _:
                self._muted, self._floor.quiet_since, self._floor.prompts = False, event.at, 0

    def _say_goodbye(self, at: float, text: str, reason: str) -> Iterator[TurnCommand]:
        yield from self._floor.drop("replaced")
        yield from self._floor.record()
        if self._floor.utterance:
            self._floor.utterance = None
            yield DiscardTranscript()
        self._orders.clear()
        self._leaving = True
        yield from self._floor.speak(at, "say", text, reason)

    # --- the caller speaks ---

    def _speech_began(self, since: float, left_s: float | None) -> Iterator[TurnCommand]:
        yield from self._floor.revoke()
        reply, utterance = self._floor.reply, self._floor.utterance
        if utterance is None:
            last_words = left_s is not None and left_s <= self._config.last_words_s
            answers = last_words or (reply is not None and reply.kind == "idle")
            self._floor.utterance = utterance = Utterance(since, since, over=reply is not None, answers=answers)
        utterance.speaking, utterance.since, utterance.looked_at = True, since, since
        utterance.mark, utterance.heard, utterance.closing = 0, None, False
        if reply and not self._floor.paused:
            self._floor.paused = True
            yield PausePlayout()

    def _speech_ended(self, until: float, voiced_s: float) -> Iterator[TurnCommand]:
        utterance = self._floor.utterance
        if utterance is None:  # music that was given up at last, or the rest of a turn that had gone on for too long
            yield DiscardTranscript()
        elif utterance.speaking:
            utterance.speaking, utterance.until = False, until
            utterance.voiced_s += voiced_s
            yield self._ask(utterance)

    def _ask(self, utterance: Utterance) -> TurnCommand:
        self._mark += 1
        utterance.mark = self._mark
        return MarkTranscript(self._mark)

    def _marked(self, at: float, utterance: Utterance, heard: Transcription) -> Iterator[TurnCommand]:
        over = utterance.over and not utterance.answers and self._floor.reply is not None
        noise = over and (is_backchannel(heard.text) or self._mumbled(utterance, heard))
        if noise or not heard.text.strip():
            yield from self._nothing_said(at, utterance)
            return
        self._floor.prompts = 0
        if utterance.speaking and not utterance.closing:
            return
        utterance.heard = heard
        yield from self._floor.take()
        endpoint = utterance.endpoint(heard, self._config)
        if at >= endpoint:
            yield from self._floor.commit(at, utterance, heard)
        elif self._config.speculate:
            self._floor.speculation = self._floor.new_reply("answer")
            doubtful = endpoint - utterance.until > self._config.doubtful_s
            yield StartReply(self._floor.speculation.id, "answer", heard.text, heard.confidence, doubtful)

    def _mumbled(self, utterance: Utterance, heard: Transcription) -> bool:
        """So short and so unclear that it was hardly a word: a cough makes such text."""
        doubtful = heard.confidence is not None and heard.confidence < self._config.cough_confidence
        return doubtful and utterance.voiced_s < self._config.cough_s

    def _nothing_said(self, at: float, utterance: Utterance) -> Iterator[TurnCommand]:
        """A cough, a listening noise, a slammed door, music: as if it had not been."""
        self._floor.utterance = None
        yield DiscardTranscript()
        if self._floor.reply:
            yield from self._floor.resume(at, self._floor.reply)
        elif utterance.closing:
            yield from self._floor.speak(at, "unheard")
        elif utterance.took_floor:
            yield from self._floor.prompt(at, "unheard")

    def _transcription_failed(self, event: TranscriptionFailed) -> Iterator[TurnCommand]:
        """Of no matter while the caller goes on: the next mark will tell."""
        utterance = self._floor.utterance
        if utterance and utterance.heard is None and (utterance.closing or not utterance.speaking):
            yield from self._not_understood(event.at, utterance)

    def _not_understood(self, at: float, utterance: Utterance) -> Iterator[TurnCommand]:
        """Speech to text gave no answer."""
        if self._floor.reply and (not utterance.over or utterance.voiced_s < self._config.cough_s):
            yield from self._nothing_said(at, utterance)
            return
        self._floor.utterance = None
        yield from self._floor.drop("barge_in")
        yield DiscardTranscript()
        yield from self._floor.fail(at, "unheard")

    def _flushed(self, at: float) -> Iterator[TurnCommand]:
        utterance = self._floor.utterance
        if utterance is None:
            if self._floor.reply is None:
                yield from self._floor.speak(at, "unheard")
            return
        utterance.closing = True
        if utterance.speaking:
            yield from self._speech_ended(at, at - utterance.since)
        elif utterance.heard:
            yield from self._floor.commit(at, utterance, utterance.heard)

    def _text_given(self, at: float, text: str, source: TurnSource) -> Iterator[TurnCommand]:
        yield from self._floor.drop("replaced")
        yield from self._floor.record()
        self._floor.prompts = 0
        reply = self._floor.new_reply("answer")
        yield StartReply(reply.id, "answer", text)
        yield CommitTurn(reply.id.turn, text, source)
        yield from self._floor.release(at, reply)

    # --- time ---

    def _time_passed(self, event: TimePassed) -> Iterator[TurnCommand]:
        at, due = event.at, self.deadline
        if due is None or at < due:
            return
        if self._floor.utterance:
            yield from self._waited(at, self._floor.utterance)
        elif self._floor.reply:
            yield from self._still_silent(at, self._floor.reply)
        else:
            yield from self._floor.prompt(at, "idle")

    def _waited(self, at: float, utterance: Utterance) -> Iterator[TurnCommand]:
        if utterance.heard:
            yield from self._floor.commit(at, utterance, utterance.heard)
        elif utterance.speaking and utterance.over and self._floor.paused:
            yield from self._floor.take()
        elif utterance.speaking and not utterance.closing:
            utterance.looked_at = at
            utterance.closing = at >= utterance.began + self._config.turn_s
            yield self._ask(utterance)
        else:
            yield from self._not_understood(at, utterance)

    def _still_silent(self, at: float, reply: Reply) -> Iterator[TurnCommand]:
        if reply.failed or reply.fillers >= self._config.fillers:
            yield from self._floor.give_up(at, reply)
            return
        yield SayFiller(reply.id, reply.fillers)
        reply.fillers += 1
        reply.silent_since = at
