"""The driver of one conversation: feeds the turn machine and performs its commands.

Everything between two edges is a plain call on the event loop: a frame in, a machine event, its commands, a frame out.
Tasks live in the session's TaskGroup (:meth:`Session.run`) and nowhere else.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from pipeline.answering import Answering
from pipeline.history import History
from pipeline.keypad import Keypad
from pipeline.listening import Listening
from pipeline.playout import PhraseClip, Playout
from pipeline.ports import Agent, Hypothesis
from pipeline.reporter import Reporter
from pipeline.session_config import Engines, SessionConfig, SessionSetup
from pipeline.speaking import Speaking
from pipeline.stamps import TurnStamps
from pipeline.time_used import TimeUsed
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
    HungUp,
    InterimHeard,
    LastWordsOrdered,
    MarkAnswered,
    MarkTranscript,
    Notify,
    PausePlayout,
    ReleaseReply,
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
    TurnSource,
    UtteranceFlushed,
)
from pipeline.vad import VoiceBegan, VoiceEdge, VoiceEnded
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Frame
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import ProviderError
from voicegate.kernel.events import (
    Failure,
    Notice,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptInterim,
    TurnCommitted,
)
from voicegate.kernel.ids import TurnId

_LOOK_AGAIN_S, _PATIENCE_S = 0.01, 0.12
"""A deadline that falls into the first windows of what may be speech waits until voice activity knows; how often to
look, and how long at most."""
_AFTER_FAILURE_S = 0.05
_GAP_S = 0.2
"""Audio that is missing this long in the middle of speech is taken for silence."""


class Session:
    """One conversation. Make it, enter :meth:`run` in a task, call the rest from the same event loop."""

    def __init__(
        self, setup: SessionSetup, engines: Engines, config: SessionConfig, reporter: Reporter, clock: Clock
    ) -> None:
        self._setup, self._engines, self._config = setup, engines, config
        self._reporter, self._clock = reporter, clock
        self._now = clock.monotonic
        self._machine = TurnMachine(config.turn, first_turn=setup.memory.first_turn)
        self._events: deque[TurnEvent] = deque()
        self._handling = False
        self._timer: asyncio.TimerHandle | None = None
        self._gap_timer: asyncio.TimerHandle | None = None
        self._keypad = Keypad(lambda keys: self.type_text(keys, "dtmf"))
        self._stamps = TurnStamps(0.0, 0.0)
        self._timer_at = 0.0
        self._began_at = 0
        self._interim = ""
        history = History(setup.memory.history)
        capacity_ms = config.clip_playout_ms if setup.clips else config.playout_ms
        playout = Playout(setup.output_rate_hz, capacity_ms=capacity_ms, clips=setup.clips, confirmed=setup.confirms)
        self._transcripts = engines.stt.open(language=config.language)
        self._speaking = Speaking(playout, history, reporter, self._now, self._deliver)
        self.take_frames = self._speaking.take_frames
        self._answering = Answering(
            setup, engines, config, reporter, self._now, self._deliver, self._speaking, history, playout
        )
        self._listening = Listening(
            engines.vad,
            self._transcripts,
            config.vad,
            pre_roll_ms=config.pre_roll_ms,
            now=self._now,
            on_edge=self._on_edge,
            on_flushed=lambda: self._deliver(UtteranceFlushed(self._now())),
        )
        self._listening.muted = setup.memory.muted
        self._loop = asyncio.get_running_loop()
        self._time_used = TimeUsed(reporter, self._now, self._loop, self._listening.take_heard_s, engines.stt.provider)
        self._over: asyncio.Future[str] = self._loop.create_future()

    async def run(self) -> str:
        """Hold the conversation until it ends; returns why.

        Cancelling it suspends the call: the reply's account is closed, but the call has not ended, and another process
        may go on with it.
        """
        setup, reason = self._setup, "error"
        self._reporter.emit(
            SessionStarted,
            agent=self._answering.agent,
            resumed=setup.resumed,
            transport=setup.transport,
            input_format=setup.input_format,
            output_format=setup.output_format,
        )
        self._time_used.begin()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._answering.tasks = tasks
                reader = tasks.create_task(self._read_transcripts())
                self._deliver(CallBegan(self._now(), setup.opening))
                if self._listening.muted:
                    self._deliver(CallerMuted(self._now()))
                try:
                    reason = await self._over
                finally:
                    reader.cancel()
                    self._close()
        except asyncio.CancelledError:
            self._speaking.cancel("shutdown")
            raise
        except Exception:
            self._reporter.emit(SessionEnded, reason=reason)
            raise
        finally:
            self._speaking.close()
            await self._transcripts.aclose()
        self._reporter.emit(SessionEnded, reason=reason)
        return reason

    # --- the transport's side: plain calls that return at once ---

    def push_audio(self, frame: Frame) -> None:
        """One 20 ms frame of the caller, 16 kHz mono int16."""
        if not self._over.done():
            self._listening.push(frame)

    def end_utterance(self) -> None:
        """The caller's utterance is complete; nothing more will follow it."""
        if not self._over.done() and not self._listening.muted:
            self._listening.flush()

    def type_text(self, text: str, source: TurnSource = "text") -> None:
        if not self._listening.muted:
            self._deliver(TextGiven(self._now(), text, source))

    def press_key(self, key: str) -> None:
        """One key of a telephone, ``0-9 * # A-D``. An entry is over after a pause, or with ``#``."""
        if not self._listening.muted:
            self._keypad.press(key)

    def say(self, text: str, *, interrupt: bool = True) -> None:
        """Make the agent say ``text`` now, or (``interrupt`` is False) when it has said what it is saying."""
        self._deliver(SayOrdered(self._now(), text, interrupt))

    def say_last(self, text: str, reason: str) -> None:
        """Make the agent say ``text`` now and end the call with it, for ``reason``."""
        self._deliver(LastWordsOrdered(self._now(), text, reason))

    def inject(self, text: str) -> None:
        """Let the agent know ``text`` from its next answer on. Nobody hears it."""
        self._answering.inject(text)

    def mute(self, *, muted: bool) -> None:
        """While muted, nothing of the caller reaches the agent: no audio, no text, no keys."""
        if muted != self._listening.muted:
            self._listening.muted = muted
            self._keypad.forget()
            self.notice("muted" if muted else "unmuted", "an operator decided whether the agent hears the caller")
            self._deliver(CallerMuted(self._now()) if muted else CallerUnmuted(self._now()))

    def hand_off(self, agent: Agent, config: SessionConfig, agent_id: str) -> None:
        """``agent``, published under ``agent_id``, answers from the next turn on, with the voice of ``config``."""
        self._answering.hand_off(agent, config, agent_id)

    def interrupt(self) -> None:
        """Stop the agent's reply."""
        self._deliver(ReplyStopped(self._now()))

    def notice(self, code: str, message: str) -> None:
        """Tell the client of a degradation, or of its end."""
        self._reporter.emit(Notice, code=code, message=message)

    @property
    def at_boundary(self) -> bool:
        """Between two turns: nobody speaks or begins to, and nobody is about to answer."""
        return self._machine.at_rest and not self._keypad.pending and not self._listening.rising

    def hang_up(self, reason: str) -> None:
        self._deliver(HungUp(self._now(), reason))

    def on_audio(self, ready: Callable[[], None]) -> None:
        """Call ``ready`` when audio can be taken after silence."""
        self._speaking.on_audio = ready

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` before playout stops."""
        self._speaking.on_stop = stop

    def frames_played(self, samples: int) -> None:
        """``samples`` more of the frames became audible."""
        self._speaking.frames_played(samples)

    @property
    def at_phrase_end(self) -> bool:
        """The frame that was taken last holds the end of a phrase."""
        return self._speaking.at_phrase_end

    def detached(self) -> None:
        """The transport is gone."""
        self._speaking.detached()

    def take_clip(self) -> PhraseClip | None:
        """The next whole phrase, or None."""
        return self._speaking.take_clip()

    @property
    def turn(self) -> TurnId:
        """The turn of the reply in playout, or the one that comes next."""
        run = self._speaking.run
        return run.id.turn if run else self._machine.pending_turn

    def clip_played(self, samples: int) -> None:
        """``samples`` more of the clips became audible."""
        self._speaking.clip_played(samples)

    # --- listening ---

    def _on_edge(self, edge: VoiceEdge) -> None:
        now = self._now()
        match edge:
            case VoiceBegan(first):
                self._began_at = first
                self._reporter.emit(SpeechStarted, audio_ms=first * 1000 // PIPELINE_RATE_HZ)
                self._deliver(SpeechBegan(now, self._listening.time_of(first), self._speaking.left_s))
                self._watch_gap()
            case VoiceEnded(last):
                until = self._listening.time_of(last)
                voiced_s = (last - self._began_at) / PIPELINE_RATE_HZ
                self._stamps = TurnStamps(until, now)
                self._reporter.emit(SpeechStopped, audio_ms=last * 1000 // PIPELINE_RATE_HZ)
                self._deliver(SpeechEnded(now, until, voiced_s))

    def _watch_gap(self) -> None:
        if self._gap_timer is not None:
            self._gap_timer.cancel()
        self._gap_timer = self._loop.call_later(_GAP_S / 2, self._fill_gap)

    def _fill_gap(self) -> None:
        """Silence may be missing (muted track, DTX, lost packets): endpointing goes on by the wall clock."""
        if self._over.done() or not self._listening.speaking:
            return
        missing = self._now() - self._listening.covered_until
        if missing >= _GAP_S:
            self._listening.fill(int(missing / 0.02))
        self._watch_gap()

    async def _read_transcripts(self) -> None:
        while True:
            try:
                async for hypothesis in self._transcripts:
                    self._on_hypothesis(hypothesis)
            except ProviderError as error:
                self._reporter.emit(
                    Failure, code=error.code, message=str(error), stage="stt", retryable=error.retryable
                )
                self._deliver(TranscriptionFailed(self._now()))
                await asyncio.sleep(_AFTER_FAILURE_S)  # an engine that fails at once must not take the loop
            else:
                return

    def _on_hypothesis(self, hypothesis: Hypothesis) -> None:
        now, text = self._now(), hypothesis.transcription.text
        if text and text != self._interim and self._config.allowance.interims:
            self._interim = text
            self._reporter.emit(TranscriptInterim, self._machine.pending_turn, text=text)
        if hypothesis.mark is None:
            self._deliver(InterimHeard(now, text))
        else:
            self._stamps.transcribed = now
            self._deliver(MarkAnswered(now, hypothesis.mark, hypothesis.transcription))

    # --- the machine ---

    def _deliver(self, event: TurnEvent) -> None:
        """Hand an event to the machine and perform what it orders. Events that commands cause wait for their turn."""
        if self._over.done():  # ended, or suspended: nothing begins any more
            return
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                event = self._events.popleft()
                if self._setup.record:
                    self._setup.record(event)
                for command in self._machine.handle(event):
                    self._perform(command)
        finally:
            self._handling = False
        self._set_timer()

    def _set_timer(self) -> None:
        deadline = self._machine.deadline
        if self._timer is not None:
            if not self._timer.cancelled() and deadline is not None and self._timer_at == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer_at = deadline
            self._timer = self._loop.call_later(max(0.0, deadline - self._now()), self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        now = self._now()
        if self._listening.rising and now < self._timer_at + _PATIENCE_S:
            # The caller may be going on this very moment; a turn that ends now would cut them off.
            self._timer = self._loop.call_later(_LOOK_AGAIN_S, self._time_passed)
            return
        self._deliver(TimePassed(now))

    def _perform(self, command: TurnCommand) -> None:
        match command:
            case MarkTranscript(mark):
                self._transcripts.mark(mark)
            case CommitTranscript(mark):
                self._transcripts.commit(mark)
            case DiscardTranscript():
                self._interim = ""
                self._transcripts.discard()
            case CommitTurn():
                self._commit_turn(command)
            case PausePlayout():
                self._speaking.pause()
            case ResumePlayout():
                self._speaking.resume()
            case StartReply() | ReleaseReply() | RevokeReply() | CancelReply() | SayFiller():
                self._answering.perform(command)
            case Notify(code, message):
                self.notice(code, message)
            case EndCall(reason):
                if not self._over.done():  # it is done when the call was cancelled
                    self._over.set_result(reason)

    def _commit_turn(self, command: CommitTurn) -> None:
        if command.source == "speech":
            self._stamps.committed = self._now()
            self._answering.stamps = self._stamps
            self._reporter.emit(TranscriptFinal, command.turn, text=command.text, confidence=command.confidence)
            self._time_used.heard(command.turn)
        self._interim = ""
        self._answering.user_turn(command.text)
        self._reporter.emit(TurnCommitted, command.turn, text=command.text, source=command.source)

    def _close(self) -> None:
        for timer in (self._timer, self._gap_timer):
            if timer is not None:
                timer.cancel()
        self._keypad.close()
        self._time_used.close()
        self._listening.close()
        self._answering.close()
