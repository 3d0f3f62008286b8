"""One reply: the agent's text goes phrase by phrase to speech, and the speech to playout."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from audiocodecs.resample import Resampler
from pipeline.chunking import FIRST_CHARS, PhraseChunker
from pipeline.playout import Playout
from pipeline.ports import (
    Agent,
    AgentOutput,
    AgentRequest,
    CallEnded,
    HandedOff,
    TextDelta,
    TextToSpeech,
    TokensUsed,
    ToolCalled,
    ToolReturned,
    WordTime,
)
from pipeline.stamps import TurnStamps
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ProviderError, VoicegateError
from voicegate.kernel.ids import ReplyId

_log = structlog.get_logger(__name__)


class ReplyObserver(Protocol):
    """What a reply tells its session. Called on the event loop, never after the reply was cancelled."""

    def reply_token(self, run: "ReplyRun") -> None: ...

    def reply_phrase(self, run: "ReplyRun", text: str) -> None: ...

    def reply_audio(self, run: "ReplyRun") -> None: ...

    def reply_output(self, run: "ReplyRun", output: AgentOutput) -> None:
        """Everything of the agent but text: tools, handoffs, usage, the end of the call."""
        ...

    def reply_complete(self, run: "ReplyRun") -> None: ...

    def reply_failed(self, run: "ReplyRun", error: VoicegateError) -> None: ...


@dataclass(frozen=True, slots=True)
class _Line:
    """One phrase on its way to speech."""

    text: str
    filler: bool = False
    agent: str = ""
    """Who says it; empty: whoever spoke before."""


class ReplyRun:
    """Runs in one task of the session's TaskGroup; cancelling that task ends everything it started."""

    def __init__(
        self,
        reply: ReplyId,
        source: AgentRequest | str,
        *,
        agent: str,
        playout: Playout,
        observer: ReplyObserver,
        first_chars: int = FIRST_CHARS,
    ) -> None:
        """``source``: what the agent is asked, or a line that is spoken as it is."""
        self.id = reply
        self.agent = agent
        self.released = asyncio.Event()
        self.room = asyncio.Event()
        """Set when playout may have room again."""
        self.complete = False
        self.failed = False
        self.filler = False
        """What is being spoken is a filler, not the reply itself."""
        self.end_ordered = False
        self.stamps: TurnStamps | None = None
        self.first_token_at = 0.0
        self.first_audio_at = 0.0
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        """Its task was started."""
        self._source: AgentRequest | str = source
        if isinstance(source, AgentRequest):
            self._source = replace(source, committed=_until(self.released))
        self._playout = playout
        self._observer = observer
        self._first_chars = first_chars
        self._cancelled = False
        self._deferred: list[Callable[[], None]] = []
        self._queue: asyncio.Queue[_Line | None] = asyncio.Queue(maxsize=4)

    # --- the session's side ---

    def when_released(self, action: Callable[[], None]) -> None:
        """Do ``action`` now, or when the turn is committed; never if the reply is revoked."""
        if self.released.is_set():
            action()
        else:
            self._deferred.append(action)

    def release(self) -> None:
        """The turn is committed: tools may act, and what was deferred happens."""
        self.released.set()
        deferred, self._deferred = self._deferred, []
        for action in deferred:
            action()

    def interject(self, text: str) -> None:
        """Speak ``text`` now, within the reply (a filler); dropped when speech is behind anyway."""
        if not self._queue.full():
            self._queue.put_nowait(_Line(text, filler=True))

    def cancel(self) -> None:
        """Nothing of this reply reaches playout or the observer any more, from now on."""
        self._cancelled = True
        self._deferred.clear()
        if self.task:
            self.task.cancel()

    def _stop_if_cancelled(self) -> None:
        """A cancelled task learns of it only when the event loop comes to it; what it waited for may have come just
        before. By then playout belongs to another reply."""
        if self._cancelled:
            raise asyncio.CancelledError

    # --- the task ---

    async def run(
        self, agent: Agent, voice: TextToSpeech, voice_of: Callable[[str], str], stored: Callable[[], Awaitable[None]]
    ) -> None:
        """Until all audio is in playout, or the provider failed. ``voice_of``: an agent's voice, by its name."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._think(agent))
                group.create_task(self._speak(voice, voice_of, stored))
        except* ProviderError as group_error:
            self._failed(_first(group_error))
        except* Exception as group_error:
            # One reply's defect must not end the call: it is logged, and the caller hears an apology.
            _log.exception("reply_crashed", turn=self.id.turn, exc_info=group_error)
            self._failed(VoicegateError("the reply failed inside the gateway"))
        else:
            if not self._cancelled:
                self._playout.finish()
                self._observer.reply_complete(self)
        finally:
            self.task = None  # it holds this coroutine, and that us

    def _failed(self, error: VoicegateError) -> None:
        if not self._cancelled:
            self._observer.reply_failed(self, error)

    async def _think(self, agent: Agent) -> None:
        if isinstance(self._source, str):
            await self._queue.put(_Line(self._source))
        else:
            await self._ask(agent, self._source)
        await self._queue.put(None)

    async def _ask(self, agent: Agent, request: AgentRequest) -> None:
        chunker = PhraseChunker(first_chars=self._first_chars)
        first, speaker = True, self.agent
        async with aclosing(agent.reply(request)) as outputs:
            async for output in outputs:
                self._stop_if_cancelled()
                match output:
                    case TextDelta(text):
                        if first:
                            first = False
                            self._observer.reply_token(self)
                        await self._enqueue(chunker.push(text), speaker)
                    case ToolCalled() | ToolReturned() | HandedOff() | TokensUsed() | CallEnded():
                        await self._enqueue(chunker.flush(), speaker)
                        self._observer.reply_output(self, output)
                        if isinstance(output, HandedOff):
                            speaker = output.to_agent
        await self._enqueue(chunker.flush(), speaker)

    async def _enqueue(self, phrases: list[str], speaker: str) -> None:
        for phrase in phrases:
            await self._queue.put(_Line(phrase, agent=speaker))

    async def _speak(
        self, tts: TextToSpeech, voice_of: Callable[[str], str], stored: Callable[[], Awaitable[None]]
    ) -> None:
        said, speaker = "", self.agent
        while (line := await self._queue.get()) is not None:
            self._stop_if_cancelled()
            phrase, self.filler = line.text, line.filler
            self._playout.begin_phrase(phrase)
            self._observer.reply_phrase(self, phrase)
            speaker = line.agent or speaker
            await self._speak_phrase(tts, phrase, voice_of(speaker), said)
            await stored()
            self._stop_if_cancelled()
            self._playout.end_phrase()
            said = phrase

    async def _speak_phrase(self, tts: TextToSpeech, phrase: str, voice: str, said: str) -> None:
        resampler = Resampler(tts.sample_rate_hz, self._playout.rate_hz)
        # Closed on the way out: a provider must not go on speaking to nobody.
        async with aclosing(tts.stream(phrase, voice=voice, previous_text=said)) as chunks:
            async for chunk in chunks:
                await self._put(resampler.push(chunk.samples), chunk.words)
        await self._put(resampler.flush(), ())

    async def _put(self, samples: Samples, words: tuple[WordTime, ...]) -> None:
        while self._playout.full:
            self.room.clear()
            await self.room.wait()
        self._stop_if_cancelled()
        self._playout.put(samples, words)
        if len(samples):
            self._observer.reply_audio(self)


def _until(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """Waits for ``event``; whoever keeps it (an agent's framework may, for long) keeps nothing else of the reply."""

    async def wait() -> None:
        await event.wait()

    return wait


def _first(group: BaseExceptionGroup[ProviderError]) -> ProviderError:
    """The error that came first; the others are its consequences."""
    error = group.exceptions[0]
    return error if isinstance(error, ProviderError) else _first(error)
