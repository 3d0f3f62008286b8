"""What must hold for every order of events that a driver can produce.

The rules below are that driver, with its world: a caller, speech to text, replies that come, starve, fail and drain,
and a clock that never passes a deadline without saying so.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline import replay
from pipeline.ports import Transcription
from pipeline.turn import TurnMachine
from pipeline.turn_messages import (
    CallBegan,
    CallerMuted,
    CallerUnmuted,
    CancelReply,
    CommitTranscript,
    CommitTurn,
    DiscardTranscript,
    EndCall,
    EndOrdered,
    HungUp,
    InterimHeard,
    LastWordsOrdered,
    MarkAnswered,
    MarkTranscript,
    Notify,
    PausePlayout,
    ReleaseReply,
    ReplyAudible,
    ReplyDrained,
    ReplyFailed,
    ReplyStarved,
    ReplyStopped,
    ResumePlayout,
    RevokeReply,
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
    UtteranceFlushed,
)
from pipeline.turn_state import TurnConfig
from voicegate.kernel.ids import ReplyId, TurnId

SILENCE_BOUND_S = 60.0
"""Nobody speaks and every reply stays silent: the call has ended by then (three replies of 11.2 s, and what waits)."""
SPEECH_BOUND_S = 200.0
"""The same while voice activity hears speech without an end."""

TEXTS = ("", "mm-hmm", "yes", "no", "stop it now", "I would like to", "Book a table, please.", "What is it?")


@dataclass
class World:
    """What the commands built: at most one reply, held or released."""

    reply: ReplyId | None = None
    released: bool = False
    audible: bool = False
    failed: bool = False
    paused: bool = False
    revoked: set[ReplyId] = field(default_factory=set)
    asked: int = 0
    committed_mark: int = 0
    turn: int = 0
    ended: bool = False

    def obey(self, command: TurnCommand) -> None:
        assert not self.ended, f"{command} after the end"
        match command:
            case StartReply() | ReleaseReply() | RevokeReply() | CancelReply() | SayFiller():
                self.obey_about_a_reply(command)
            case PausePlayout():
                assert self.reply is not None
                assert (self.released, self.paused) == (True, False)
                self.paused = True
            case ResumePlayout():
                assert self.reply is not None
                assert self.paused
                self.paused = False
            case MarkTranscript(mark):
                assert mark == self.asked + 1
                self.asked = mark
            case CommitTranscript(mark):
                assert self.committed_mark < mark <= self.asked
                self.committed_mark = mark
            case CommitTurn(turn):
                assert turn > self.turn
                assert self.reply is None or (turn, False) == (self.reply.turn, self.released)
                self.turn = turn
            case EndCall():
                assert self.reply is None, "the call ended with a reply open"
                self.ended = True
            case DiscardTranscript() | Notify():
                pass

    def obey_about_a_reply(self, command: StartReply | ReleaseReply | RevokeReply | CancelReply | SayFiller) -> None:
        if isinstance(command, StartReply):
            assert self.reply is None, "two replies open"
            assert command.reply not in self.revoked
            self.reply, self.released, self.audible, self.failed = command.reply, False, False, False
            return
        assert self.reply == command.reply, "not the open reply"
        match command:
            case ReleaseReply(reply):
                assert (self.released, self.paused) == (False, False)
                assert self.turn <= reply.turn
                self.released, self.turn = True, reply.turn
            case RevokeReply(reply):
                assert not self.released
                self.revoked.add(reply)
                self.reply = None
            case CancelReply():
                assert self.released
                self.reply, self.paused = None, False
            case SayFiller():
                assert (self.released, self.paused) == (True, False)


class Driver(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.world = World()
        self.machine = TurnMachine()
        self.speaking = False
        self.since = 0.0
        self.muted = False
        self.log: list[tuple[TurnEvent, list[TurnCommand]]] = []

    # --- plumbing ---

    def deliver(self, event: TurnEvent) -> list[TurnCommand]:
        if isinstance(event, ReplyDrained):  # the driver clears playout first
            self.world.reply, self.world.paused = None, False
        before = self.machine.deadline
        commands = self.machine.handle(event)
        self.log.append((event, commands))
        for command in commands:
            self.world.obey(command)
        if isinstance(event, TimePassed) and before is not None and event.at >= before:
            assert commands, "a deadline passed and nothing came of it"
        return commands

    def pass_time(self, until: float) -> None:
        """The driver's timer: every deadline on the way is told."""
        for _ in range(200):
            deadline = self.machine.deadline
            if deadline is None or deadline > until:
                self.now = until
                return
            self.now = max(self.now, deadline)
            self.deliver(TimePassed(self.now))
        pytest.fail("a busy loop of deadlines")

    @property
    def alive(self) -> bool:
        return not self.world.ended

    @property
    def open_reply(self) -> ReplyId:
        assert self.world.reply is not None
        return self.world.reply

    @property
    def playing(self) -> bool:
        return self.world.reply is not None and self.world.released and not self.world.paused

    # --- what can happen ---

    @initialize(opening=st.sampled_from(("greeting", "resume", None)), at=st.sampled_from((0.0, 1e5)))
    def begin(self, opening: Any, at: float) -> None:
        self.now = at
        self.deliver(CallBegan(at, opening))

    @rule(seconds=st.sampled_from((0.01, 0.1, 0.3, 0.8, 1.5, 6.0, 25.0)))
    def wait(self, seconds: float) -> None:
        self.pass_time(self.now + seconds)

    @rule()
    def wait_for_the_deadline(self) -> None:
        if self.machine.deadline is not None:
            self.pass_time(max(self.now, self.machine.deadline))

    @rule()
    def early_timer(self) -> None:
        """Timers may fire a little early; that must change nothing."""
        deadline = self.machine.deadline
        if deadline is not None and deadline > self.now:
            assert self.machine.handle(TimePassed(self.now)) == []
            assert self.machine.deadline == deadline

    @precondition(lambda self: self.alive and not self.speaking)
    @rule(left=st.sampled_from((None, 0.2, 3.0)), lag=st.sampled_from((0.06, 0.4)))
    def caller_begins(self, left: float | None, lag: float) -> None:
        self.speaking, self.since = True, self.now - lag
        self.deliver(SpeechBegan(self.now, self.since, left if self.playing else None))

    @precondition(lambda self: self.alive and self.speaking)
    @rule()
    def caller_stops(self) -> None:
        self.speaking = False
        until = max(self.since, self.now - 0.13)
        self.deliver(SpeechEnded(self.now, until, until - self.since))

    @precondition(lambda self: self.alive and self.world.asked)
    @rule(text=st.sampled_from(TEXTS), stale=st.integers(0, 1), end=st.sampled_from((None, 0.1, 0.9)))
    def mark_is_answered(self, text: str, stale: int, end: float | None) -> None:
        self.deliver(MarkAnswered(self.now, max(1, self.world.asked - stale), Transcription(text, -0.1, end)))

    @precondition(lambda self: self.alive)
    @rule(text=st.sampled_from(TEXTS))
    def interim(self, text: str) -> None:
        self.deliver(InterimHeard(self.now, text))

    @precondition(lambda self: self.alive)
    @rule()
    def transcription_fails(self) -> None:
        self.deliver(TranscriptionFailed(self.now))

    @precondition(lambda self: self.alive)
    @rule()
    def flush(self) -> None:
        self.deliver(UtteranceFlushed(self.now))

    @precondition(lambda self: self.alive)
    @rule()
    def type_text(self) -> None:
        self.deliver(TextGiven(self.now, "typed", "text"))

    @precondition(lambda self: self.alive)
    @rule()
    def operator_says(self) -> None:
        self.deliver(SayOrdered(self.now, "we close at nine"))

    @precondition(lambda self: self.alive)
    @rule()
    def operator_says_in_due_time(self) -> None:
        self.deliver(SayOrdered(self.now, "we close at nine", interrupt=False))

    @precondition(lambda self: self.alive and len(self.log) > 20)
    @rule()
    def operator_ends_the_call(self) -> None:
        self.deliver(LastWordsOrdered(self.now, "goodbye", "operator"))
        assert self.world.reply is not None

    @precondition(lambda self: self.alive)
    @rule()
    def operator_mutes_the_caller(self) -> None:
        self.muted = True
        self.deliver(CallerMuted(self.now))

    @precondition(lambda self: self.alive and self.muted)
    @rule()
    def operator_unmutes_the_caller(self) -> None:
        self.muted = False
        self.deliver(CallerUnmuted(self.now))

    @precondition(lambda self: self.alive)
    @rule()
    def stop_button(self) -> None:
        self.deliver(ReplyStopped(self.now))

    @precondition(lambda self: self.alive and self.world.reply and not self.world.failed)
    @rule(filler=st.booleans())
    def audio_comes(self, filler: bool) -> None:
        self.world.audible = True
        self.deliver(ReplyAudible(self.now, self.open_reply, filler and self.world.released))

    @precondition(lambda self: self.playing and self.world.audible)
    @rule()
    def starve(self) -> None:
        self.world.audible = False
        self.deliver(ReplyStarved(self.now, self.open_reply))

    @precondition(lambda self: self.world.reply and self.world.released)
    @rule()
    def drain(self) -> None:
        self.deliver(ReplyDrained(self.now, self.open_reply))

    @precondition(lambda self: self.world.reply and not self.world.failed)
    @rule()
    def fail(self) -> None:
        self.world.failed = True
        self.deliver(ReplyFailed(self.now, self.open_reply))

    @precondition(lambda self: self.world.reply)
    @rule()
    def agent_orders_the_end(self) -> None:
        self.deliver(EndOrdered(self.now, self.open_reply, "goodbye"))

    @rule(kind=st.sampled_from((ReplyAudible, ReplyStarved, ReplyDrained, ReplyFailed)))
    def something_old(self, kind: Any) -> None:
        before = self.machine.deadline
        assert self.machine.handle(kind(self.now, ReplyId(TurnId(0), 0))) == []
        assert self.machine.deadline == before

    @precondition(lambda self: len(self.log) > 20)
    @rule()
    def hang_up(self) -> None:
        self.deliver(HungUp(self.now, "caller"))
        assert self.world.ended

    # --- what always holds ---

    @invariant()
    def silence_has_a_bound(self) -> None:
        if self.world.ended:
            assert self.machine.deadline is None
            return
        deadline = self.machine.deadline
        audible = self.playing and self.world.audible
        at_rest = self.machine.at_rest and self.muted
        if self.log and not audible and not at_rest:
            assert deadline is not None, "silence without a deadline"
            bound = 120.0 if self.speaking else 12.0
            assert deadline <= self.now + bound
        if self.world.paused:
            assert deadline is not None, "paused for ever"

    @invariant()
    def the_machine_and_the_world_agree(self) -> None:
        held = self.world.reply is not None and not self.world.released
        assert self.machine.reply == (None if held else self.world.reply)

    def teardown(self) -> None:
        if not self.log:
            return
        self.replays_to_the_same()
        self.ends_when_nothing_helps()

    def replays_to_the_same(self) -> None:
        lines: list[bytes] = []
        recorder = replay.Recorder(lines.append, TurnConfig())
        for event, _ in self.log:
            recorder.record(event)
        assert list(replay.replay(replay.read(lines))) == self.log

    def ends_when_nothing_helps(self) -> None:
        """From here on nothing is heard, said or transcribed; only time passes."""
        bound = SPEECH_BOUND_S if self.speaking else SILENCE_BOUND_S
        if self.playing and self.world.audible:
            self.deliver(ReplyStarved(self.now, self.open_reply))
        if self.muted:
            self.operator_unmutes_the_caller()
        start = self.now
        while not self.world.ended and self.machine.deadline is not None:
            self.pass_time(max(self.now, self.machine.deadline))
            if self.playing and self.world.audible:  # resumed
                self.world.audible = False
                self.deliver(ReplyStarved(self.now, self.open_reply))
        assert self.world.ended, "dead air without an end"
        assert self.now - start <= bound


TestEveryOrder = Driver.TestCase
TestEveryOrder.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("seed", range(40))
def test_long_calls(seed: int) -> None:
    """The same rules in long random walks, which shrink badly but reach far."""
    dice = random.Random(seed)
    driver = Driver()
    driver.begin(dice.choice(("greeting", None)), 0.0)
    steps: list[Callable[[], object]] = [
        lambda: driver.wait(dice.choice((0.05, 0.3, 0.8, 2.0))),
        driver.wait_for_the_deadline,
        lambda: (
            driver.caller_begins(dice.choice((None, 0.2, 3.0)), 0.06) if not driver.speaking else driver.caller_stops()
        ),
        lambda: driver.world.asked and driver.mark_is_answered(dice.choice(TEXTS), 0, None),
        lambda: driver.world.reply and not driver.world.failed and driver.audio_comes(False),
        lambda: driver.playing and driver.world.audible and driver.drain(),
        lambda: driver.interim(dice.choice(TEXTS)),
        lambda: dice.random() < 0.1 and driver.type_text(),
        lambda: dice.random() < 0.1 and driver.operator_says(),
    ]
    for _ in range(400):
        if driver.world.ended:
            break
        dice.choice(steps)()
        driver.silence_has_a_bound()
        driver.the_machine_and_the_world_agree()
    driver.teardown()
