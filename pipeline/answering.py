"""Replies of a session: starts, releases, revokes and cancels them, and reports what they do."""

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import replace

from pipeline.chunking import FIRST_CHARS, PHRASE_CHARS
from pipeline.history import History
from pipeline.playout import Playout
from pipeline.ports import (
    Agent,
    AgentOutput,
    AgentRequest,
    CallEnded,
    HandedOff,
    TextDelta,
    TokensUsed,
    ToolCalled,
    ToolReturned,
)
from pipeline.reply import ReplyRun
from pipeline.reporter import Reporter
from pipeline.session_config import Engines, SessionConfig, SessionSetup
from pipeline.speaking import Speaking
from pipeline.stamps import TurnStamps
from pipeline.turn_messages import (
    CancelReply,
    EndOrdered,
    ReleaseReply,
    ReplyFailed,
    RevokeReply,
    SayFiller,
    StartReply,
    TurnEvent,
)
from voicegate.kernel.errors import ProviderError, VoicegateError
from voicegate.kernel.events import Failure, Handoff, Notice, ReplyStarted, ReplyText, ToolFinished, ToolStarted, Usage

_KEPT_NOTES = 20
"""What an operator told the agent; older ones are forgotten."""


class Answering:
    """Performs the machine's commands about replies; observes the runs."""

    def __init__(
        self,
        setup: SessionSetup,
        engines: Engines,
        config: SessionConfig,
        reporter: Reporter,
        now: Callable[[], float],
        deliver: Callable[[TurnEvent], None],
        speaking: Speaking,
        history: History,
        playout: Playout,
    ) -> None:
        self._setup, self._engines, self._config = setup, engines, config
        self._reporter, self._now, self._deliver = reporter, now, deliver
        self._speaking, self._history, self._playout = speaking, history, playout
        self._notes: tuple[str, ...] = ()
        self._tool_calls: dict[str, tuple[ToolCalled, float]] = {}
        self.agent = setup.memory.agent or setup.agent or engines.agent.starting_agent
        self.stamps: TurnStamps | None = None
        """Of the committed turn that waits for its reply's release."""
        self.tasks: asyncio.TaskGroup | None = None
        """The session's TaskGroup, set when it runs."""

    def inject(self, text: str) -> None:
        """The agent knows ``text`` from its next answer on."""
        self._notes = (*self._notes, text)[-_KEPT_NOTES:]
        self._reporter.emit(Notice, code="injected", message="an operator told the agent something")

    def hand_off(self, agent: Agent, config: SessionConfig, agent_id: str) -> None:
        """``agent`` answers from now on. A reply that has begun is ended by who began it."""
        before, self.agent = self.agent, agent.starting_agent
        self._engines = replace(self._engines, agent=agent)
        self._config = config
        self._reporter.emit(Handoff, from_agent=before, to_agent=self.agent, agent_id=agent_id)

    def user_turn(self, text: str) -> None:
        """A committed turn of the caller enters the history."""
        self._history.user(text)

    def perform(self, command: StartReply | ReleaseReply | RevokeReply | CancelReply | SayFiller) -> None:
        run = self._speaking.run
        if isinstance(command, StartReply):
            self._start(command)
        elif run is None or run.id != command.reply:
            return
        else:
            self._perform_on(run, command)

    def _perform_on(self, run: ReplyRun, command: ReleaseReply | RevokeReply | CancelReply | SayFiller) -> None:
        match command:
            case ReleaseReply():
                self._release(run)
            case RevokeReply():
                run.cancel()
                self._speaking.revoke()
            case CancelReply(_, reason):
                run.cancel()
                self._speaking.cancel(reason)
            case SayFiller(_, count):
                fillers = self._config.lines.fillers
                run.interject(fillers[min(count, len(fillers) - 1)])

    def close(self) -> None:
        """Stop what runs and tell nobody any more (see :meth:`pipeline.listening.Listening.close`)."""
        if self._speaking.run:
            self._speaking.run.cancel()
        self._deliver, self.tasks = _ignore, None

    def _start(self, command: StartReply) -> None:
        line = self._config.lines.fixed.get(command.kind)
        if command.kind == "say":
            line = command.text
        source = line if line is not None else self._request(command)
        run = ReplyRun(
            command.reply,
            source,
            agent=self.agent,
            playout=self._playout,
            observer=self,
            first_chars=PHRASE_CHARS if self._setup.clips else FIRST_CHARS,
        )
        run.when_released(lambda: self._reporter.emit(ReplyStarted, run.id.turn, kind=command.kind, agent=run.agent))
        self._speaking.open(run)
        if self._config.allowance.speculates(doubtful=command.doubtful):
            self._begin(run)  # else at its release: the turn machine need not know that nothing happened until then

    def _begin(self, run: ReplyRun) -> None:
        if self.tasks is None:
            raise RuntimeError("a reply needs a running session")
        engines, config = self._engines, self._config
        stored = self._reporter.stored if self._setup.clips else _at_once
        run.task = self.tasks.create_task(run.run(engines.agent, engines.tts, config.voice_of, stored))
        run.task.add_done_callback(_untie)
        run.begun = True

    def _request(self, command: StartReply) -> AgentRequest:
        return AgentRequest(
            session_id=self._reporter.session_id,
            history=self._history.messages,
            text=command.text,
            kind=command.kind,  # type: ignore[arg-type]  # the fixed kinds were taken out above
            agent=self.agent,
            confidence=command.confidence,
            context=self._setup.context,
            control=self._setup.control,
            notes=self._notes,
        )

    def _release(self, run: ReplyRun) -> None:
        if not run.begun:
            self._begin(run)
        run.stamps, self.stamps = self.stamps, None
        run.release()
        if self._setup.clips and self.tasks:
            self.tasks.create_task(self._release_once_stored(run))
        else:
            self._speaking.release()

    async def _release_once_stored(self, run: ReplyRun) -> None:
        """A clip cannot be taken back, so the transcript is stored before the first one leaves."""
        await self._reporter.stored()
        if self._speaking.run is run:
            self._speaking.release()

    # --- what the runs tell ---

    def reply_token(self, run: ReplyRun) -> None:
        run.first_token_at = self._now()

    def reply_phrase(self, run: ReplyRun, text: str) -> None:
        if not run.first_token_at:
            run.first_token_at = self._now()
        run.when_released(lambda: self._reporter.emit(ReplyText, run.id.turn, text=text))
        self._usage(run, "tts", self._engines.tts.provider, len(text), "characters")

    def reply_audio(self, run: ReplyRun) -> None:
        if not run.first_audio_at:
            run.first_audio_at = self._now()
        self._speaking.audio_came(filler=run.filler)

    def reply_output(self, run: ReplyRun, output: AgentOutput) -> None:
        match output:
            case ToolCalled():
                self._tool_calls[output.call_id] = (output, self._now())
                run.when_released(
                    lambda: self._reporter.emit(
                        ToolStarted, run.id.turn, call_id=output.call_id, name=output.name, arguments=output.arguments
                    )
                )
            case ToolReturned():
                self._tool_returned(run, output)
            case HandedOff():
                run.when_released(lambda: self._hand_off(run, output))
            case TokensUsed(given, made):
                self._usage(run, "agent", self._engines.agent.provider, given, "input_tokens")
                self._usage(run, "agent", self._engines.agent.provider, made, "output_tokens")
            case CallEnded(reason):
                run.end_ordered = True
                self._deliver(EndOrdered(self._now(), run.id, reason))
            case TextDelta():  # text comes by reply_phrase
                pass

    def reply_complete(self, run: ReplyRun) -> None:
        run.complete = True
        if not run.first_audio_at and not run.end_ordered:
            self.reply_failed(run, VoicegateError("the agent gave nothing to say"))
        else:
            self._speaking.check_drained()

    def reply_failed(self, run: ReplyRun, error: VoicegateError) -> None:
        if run is not self._speaking.run:  # it failed while it was being cancelled; playout belongs to another reply
            return
        retryable = isinstance(error, ProviderError) and error.retryable
        run.complete = run.failed = True
        self._playout.finish()
        run.when_released(
            lambda: self._reporter.emit(
                Failure, run.id.turn, code=error.code, message=str(error), stage="reply", retryable=retryable
            )
        )
        self._deliver(ReplyFailed(self._now(), run.id))
        self._speaking.check_drained()

    def _tool_returned(self, run: ReplyRun, output: ToolReturned) -> None:
        called, since = self._tool_calls.pop(
            output.call_id, (ToolCalled(output.call_id, output.name, "{}"), self._now())
        )
        duration_ms = round((self._now() - since) * 1000, 1)

        def report() -> None:
            self._history.tool(output.call_id, output.name, called.arguments, output.result)
            self._reporter.emit(
                ToolFinished,
                run.id.turn,
                call_id=output.call_id,
                name=output.name,
                ok=output.ok,
                result=output.result,
                duration_ms=duration_ms,
            )

        run.when_released(report)

    def _hand_off(self, run: ReplyRun, output: HandedOff) -> None:
        self.agent = run.agent = output.to_agent
        self._reporter.emit(Handoff, run.id.turn, from_agent=output.from_agent, to_agent=output.to_agent)

    def _usage(self, run: ReplyRun, stage: str, provider: str, quantity: float, unit: str) -> None:
        if not quantity:
            return
        run.when_released(
            lambda: self._reporter.emit(
                Usage, run.id.turn, stage=stage, provider=provider, quantity=float(quantity), unit=unit
            )
        )


def _untie(run: asyncio.Task[None]) -> None:
    """A task that was cancelled keeps its error; that, by its frames, the task group, and the group the task. The
    collector would find the ring some day, and stop all calls of the process while it looks."""
    if run.cancelled():
        try:
            run.exception()
        except asyncio.CancelledError as error:
            traceback.clear_frames(error.__traceback__)


def _ignore(event: TurnEvent) -> None: ...


async def _at_once() -> None:
    """Nothing has to be stored first."""
