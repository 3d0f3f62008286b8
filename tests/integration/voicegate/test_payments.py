"""Calls that are paid for: who may begin, and what a running call does when its credits are used up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from sessions.budget import Budget, BudgetShelf
from tests.integration.voicegate.conftest import Begin
from tests.integration.voicegate.test_calls import listen, refusal, until
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import Notice, ReplyFinished, Usage
from voicegate.kernel.ids import SessionId
from voicegate.payments import EXHAUSTED, Payments

ORGANIZATION = "acme"
PRICES = {"session/*/seconds": 1_000, "tts/*/characters": 10}


@pytest.fixture
async def shelf(redis_url: str) -> AsyncIterator[BudgetShelf]:
    async with Redis.from_url(redis_url, protocol=2) as client:
        yield BudgetShelf(client, 60)


def budget(limit_micro: int, *, organization_id: str = ORGANIZATION, farewell: str = "Goodbye.") -> Budget:
    return Budget(
        organization_id=organization_id,
        limit_micro=limit_micro,
        warn_micro=500,
        end_micro=100,
        prices=PRICES,
        warning="Little is left.",
        farewell=farewell,
    )


async def test_nobody_begins_where_nothing_is_known_or_nothing_is_left(begin: Begin, shelf: BudgetShelf) -> None:
    process = await begin(payer=ORGANIZATION)
    assert await refusal(process, "unknown") == "insufficient_credits"
    await shelf.put_available({ORGANIZATION: 0, "another": 10**9})
    assert await refusal(process, "poor") == "insufficient_credits"
    await shelf.put({"foreign": budget(10**6, organization_id="another")})
    assert await refusal(process, "foreign") == "insufficient_credits"
    await shelf.put_available({ORGANIZATION: 1})
    assert (await process.attach("rich")).session_id == "rich"
    assert await process.store.load(SessionId("poor")) is None, "what is refused leaves nothing behind"


async def test_what_was_set_aside_lets_a_call_begin(begin: Begin, shelf: BudgetShelf) -> None:
    process = await begin(payer=ORGANIZATION)
    await shelf.put_available({ORGANIZATION: 0})
    await shelf.put({"call": budget(10**6)})
    call = await process.attach()
    call.hang_up("client")
    assert await call.ended() == "client"


async def test_a_free_call_needs_nothing(begin: Begin) -> None:
    process = await begin()
    assert (await process.attach("free")).session_id == "free"


async def test_a_call_is_warned_and_ends_with_its_last_words(begin: Begin, shelf: BudgetShelf) -> None:
    """Every line it speaks costs; what is being said is never cut."""
    process = await begin(payer=ORGANIZATION)
    await shelf.put({"call": budget(1_000)})
    call = await process.attach(greeting=True)
    await listen(call, process, [])
    said = "You said " + "a rather long question, " * 3
    call.type_text(said)
    async with asyncio.timeout(10):
        while not call._over.done():
            call.take_frames()
            await asyncio.sleep(0.001)
    assert await call.ended() == EXHAUSTED
    texts = [event.text for event in process.observed if isinstance(event, ReplyFinished)]
    assert texts[-1] == "Goodbye."
    notices = [event.code for event in process.observed if isinstance(event, Notice)]
    assert notices[-1] == EXHAUSTED
    assert texts.count("Little is left.") == notices.count("credits_low") <= 1
    assert any(said in text for text in texts), "the answer was said to its end"


async def test_time_is_told_and_audio_that_nothing_came_of(begin: Begin) -> None:
    process = await begin()
    call = await process.attach()
    began = SystemClock().monotonic()
    await asyncio.sleep(0.05)
    call.hang_up("client")
    await call.ended()
    passed = SystemClock().monotonic() - began
    used = [event for event in process.observed if isinstance(event, Usage)]
    assert [(event.stage, event.unit) for event in used] == [("session", "seconds")]
    assert 0.04 <= used[0].quantity <= passed + 1


@dataclass
class Talking:
    """A session that is always in the middle of something, until it is told."""

    at_boundary: bool = False
    told: list[str] = field(default_factory=list)

    def say(self, text: str, *, interrupt: bool = True) -> None:
        self.told.append(f"say {text} {interrupt}")

    def say_last(self, text: str, reason: str) -> None:
        self.told.append(f"last {text} {reason}")

    def notice(self, code: str, message: str) -> None:
        self.told.append(code)

    def hang_up(self, reason: str) -> None:
        self.told.append(f"hang up {reason}")


def second(quantity: float) -> Usage:
    return Usage(
        session_id=SessionId("call"),
        seq=1,
        at=SystemClock().utc(),
        stage="session",
        provider="voicegate",
        quantity=quantity,
        unit="seconds",
    )


async def test_credits_that_come_in_while_the_last_words_wait_let_the_call_go_on(shelf: BudgetShelf) -> None:
    session = Talking()
    await shelf.put({"call": budget(1_000)})
    watched = Payments(shelf).watch("call", ORGANIZATION, session, [second(0.95)])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watched.run())
        await asyncio.sleep(0.2)
        assert session.told == [], "somebody is speaking"
        await shelf.put({"call": budget(2_000)})
        session.at_boundary = True
        await asyncio.sleep(0.2)
        assert session.told == []
        watched.take(second(0.6))
        await until(lambda: session.told == ["credits_low", "say Little is left. False"])
        await shelf.put({"call": budget(2_000, farewell="")})
        watched.take(second(0.4))
        await running
    assert session.told[2:] == [EXHAUSTED, f"hang up {EXHAUSTED}"]


async def test_while_nothing_is_known_a_call_goes_on() -> None:
    async with Redis.from_url("redis://localhost:1", protocol=2) as nowhere:
        session = Talking(at_boundary=True)
        watched = Payments(BudgetShelf(nowhere, 60)).watch("call", ORGANIZATION, session, [second(10**6)])
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watched.run())
            await asyncio.sleep(0.1)
            running.cancel()
    assert session.told == []
