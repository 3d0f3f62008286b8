"""A reply that is cancelled while what it waited for arrives."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.playout import Playout
from pipeline.ports import AgentOutput, AgentRequest, HandedOff, SpeechChunk, TextDelta
from pipeline.reply import ReplyRun
from voicegate.kernel.errors import ProviderError, VoicegateError
from voicegate.kernel.ids import ReplyId, TurnId

CHUNK = SpeechChunk(np.full(1600, 99, np.int16))


@dataclass
class Engine:
    """Agent and voice whose next step is the test's to allow."""

    provider: str = "test"
    starting_agent: str = "test"
    sample_rate_hz: int = 16_000
    go: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        await self._step()
        yield TextDelta("Late words.")

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        await self._step()
        yield CHUNK

    async def _step(self) -> None:
        self.waiting.set()
        await self.go


@dataclass
class Observer:
    told: list[str] = field(default_factory=list)

    def reply_token(self, run: ReplyRun) -> None:
        self.told.append("token")

    def reply_phrase(self, run: ReplyRun, text: str) -> None:
        self.told.append("phrase")

    def reply_audio(self, run: ReplyRun) -> None:
        self.told.append("audio")

    def reply_output(self, run: ReplyRun, output: AgentOutput) -> None:
        self.told.append("output")

    def reply_complete(self, run: ReplyRun) -> None:
        self.told.append("complete")

    def reply_failed(self, run: ReplyRun, error: VoicegateError) -> None:
        self.told.append("failed")


async def _at_once() -> None: ...


def _reply(source: AgentRequest | str, playout: Playout, observer: Observer) -> ReplyRun:
    return ReplyRun(ReplyId(TurnId(1), 1), source, agent="test", playout=playout, observer=observer)


@pytest.mark.parametrize("source", ["A line.", AgentRequest("call", (), "hello")], ids=["voice", "agent"])
@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_of_a_cancelled_reply_gets_into_the_next_one(source: AgentRequest | str, fails: bool) -> None:
    engine, observer, playout = Engine(), Observer(), Playout(16_000)
    run = _reply(source, playout, observer)
    playout.open(run.id, held=False)
    async with asyncio.TaskGroup() as tasks:
        run.task = task = tasks.create_task(run.run(engine, engine, lambda _: "", _at_once))
        await engine.waiting.wait()
        before = list(observer.told)
        # In one turn of the loop: what it waits for is there, and the reply is cancelled and replaced.
        if fails:
            engine.go.set_exception(ProviderError("test", "away", retryable=True))
        else:
            engine.go.set_result(None)
        run.cancel()
        playout.clear()
        playout.open(ReplyId(TurnId(2), 2), held=False)
        playout.begin_phrase("The next one.")
    assert task.done()
    assert observer.told == before
    assert playout.ledger().generated == "The next one."
    assert playout.take() is None
    assert not playout.drained
    assert not playout.unheard_ms


async def test_a_reply_goes_to_its_end() -> None:
    engine, observer, playout = Engine(), Observer(), Playout(16_000)
    run = _reply("A line.", playout, observer)
    playout.open(run.id, held=False)
    engine.go.set_result(None)
    await run.run(engine, engine, lambda _: "", _at_once)
    assert observer.told[-1] == "complete"
    taken = [playout.take() for _ in range(5)]
    assert all(frame is not None for frame in taken)
    assert playout.drained


class Relay:
    """Ann hands over to Bob in the middle of a reply; the voices note who says what."""

    provider = starting_agent = "Ann"
    sample_rate_hz = 16_000

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        yield TextDelta("One moment, I'll ask Bob.")
        yield HandedOff("Ann", "Bob")
        yield TextDelta("Hello, this is Bob.")

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        self.said.append((voice, phrase))
        yield SpeechChunk(np.full(320, 1000, np.int16))


async def test_each_agent_of_a_reply_speaks_with_its_own_voice() -> None:
    relay, observer, playout = Relay(), Observer(), Playout(16_000)
    run = ReplyRun(
        ReplyId(TurnId(1), 1), AgentRequest("call", (), "hello"), agent="Ann", playout=playout, observer=observer
    )
    playout.open(run.id, held=False)
    await run.run(relay, relay, lambda agent: f"voice of {agent}", _at_once)
    assert {voice for voice, phrase in relay.said if "Hello" not in phrase} == {"voice of Ann"}
    assert relay.said[-1] == ("voice of Bob", "Hello, this is Bob.")
