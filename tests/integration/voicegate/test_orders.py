"""Orders to live calls, whichever process has them: each of them, and what becomes of it in the call's own events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from redis.asyncio import Redis

from gateway.conversation import Resume
from gateway.phone.capability import Capabilities, NotesHere
from gateway.phone.line_orders import PhoneOrders
from gateway.phone.lines import PhoneLines
from gateway.phone.messages import PhoneCall
from pipeline.session_config import Engines, SessionConfig
from sessions.keys import order_channel, order_key, session_keys
from sessions.order_line import Orders, Request
from sessions.orders import (
    DONE,
    End,
    HandOff,
    HangUp,
    Inject,
    Mute,
    Order,
    Outcome,
    PressKeys,
    Say,
    Transfer,
    Unmute,
)
from tests.integration.voicegate.conftest import STATE, Begin, Listed, Process
from voicegate.call import Call
from voicegate.casting import Cast
from voicegate.embedded.redis import RedisConfig
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import ProviderRefused, RefusedCall, StateUnavailable
from voicegate.kernel.events import (
    Handoff,
    Notice,
    ReplyFinished,
    ReplyInterrupted,
    ReplyStarted,
    ReplyText,
    SessionEnded,
    SpeechStarted,
    TurnCommitted,
)
from voicegate.orders import obeying, open_orders

AGENT, ACME = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "acme"


@dataclass
class Line:
    """A phone line of a carrier: what it was told."""

    call: PhoneCall
    talk: Call
    keys: list[str] = field(default_factory=list)

    def press_keys(self, digits: str) -> bool:
        self.keys.append(digits)
        return self.call.provider == "plivo"

    def hang_up(self, reason: str) -> None:
        self.talk.hang_up(reason)

    def let_go(self, reason: str) -> None:
        self.talk.hang_up(reason)


@dataclass
class Api:
    """A carrier's REST API, as its small stand-in at the wire has it (tests/vendors/carrier_rest.py)."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    refuses: bool = False

    async def hang_up(self, call_id: str) -> None: ...

    async def transfer(self, call_id: str, number: str, *, dial_url: str) -> None:
        if self.refuses:
            raise ProviderRefused("telnyx", "no")
        self.asked.append((call_id, number))


@dataclass
class Gateway:
    process: Process
    lines: PhoneLines
    api: Api
    successor: Listed


@dataclass
class Fleet:
    """Gateways on one Redis, and somebody with orders."""

    orders: Orders
    begin: Callable[[str], Awaitable[Gateway]]
    redis: Redis

    async def send(self, order: Order, order_id: str = "", session: str = "call") -> Outcome:
        return await self.orders.send(session, order, order_id, wait_s=1.0)


@pytest.fixture
async def fleet(begin: Begin, redis_url: str) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(open_orders(redis_url, STATE, SystemClock()))
        redis = await stack.enter_async_context(Redis.from_url(redis_url, protocol=2))

        async def gateway(owner: str) -> Gateway:
            process, lines, api = await begin(owner), PhoneLines(), Api()
            successor = Listed("second", "second")
            engines = process.registry._engines

            async def take_over(agent_id: str, organization_id: str) -> Cast:
                if (agent_id, organization_id) != (AGENT, ACME):
                    raise RefusedCall("gone", "not published")
                made = Engines(engines.vad, engines.stt, successor, engines.tts)
                return Cast(made, SessionConfig(voice="other"), published=True)

            phones = PhoneOrders(
                lines, Capabilities(NotesHere(SystemClock()), hold_s=60), {"telnyx": api}, "http://here"
            )
            await stack.enter_async_context(obeying(redis_url, STATE, process.registry, take_over, phones))
            async with asyncio.timeout(5):
                while not dict(await redis.pubsub_numsub(order_channel(owner))).get(order_channel(owner).encode()):
                    await asyncio.sleep(0.01)
            return Gateway(process, lines, api, successor)

        yield Fleet(orders, gateway, redis)


async def hears(call: Call, holds: Callable[[], object], within_s: float = 10.0) -> None:
    """A transport takes frames until something is so."""
    async with asyncio.timeout(within_s):
        while not holds():
            call.take_frames()
            await asyncio.sleep(0.001)


def of(process: Process, kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in process.observed if isinstance(event, kind)]


async def test_say_is_spoken_in_the_process_that_has_the_call(fleet: Fleet) -> None:
    await fleet.begin("a")
    gateway = await fleet.begin("b")
    call = await gateway.process.attach()
    assert await fleet.send(Say("We close at nine.")) == DONE
    await hears(call, lambda: bool(of(gateway.process, ReplyFinished)))
    (started,) = of(gateway.process, ReplyStarted)
    assert started.kind == "say"
    assert of(gateway.process, ReplyFinished)[0].text == "We close at nine."


async def test_say_replaces_a_reply_or_waits_for_its_end(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    call.type_text("one two three four five six seven eight nine ten")
    await hears(call, lambda: bool(of(gateway.process, ReplyText)))
    assert await fleet.send(Say("Later.", interrupt=False)) == DONE
    await hears(call, lambda: len(of(gateway.process, ReplyFinished)) == 2)
    assert of(gateway.process, ReplyFinished)[1].text == "Later."
    assert not of(gateway.process, ReplyInterrupted)
    call.type_text("one two three four five six seven eight nine ten")
    await hears(call, lambda: len(of(gateway.process, ReplyStarted)) == 3)
    assert await fleet.send(Say("Now.")) == DONE
    await hears(call, lambda: len(of(gateway.process, ReplyFinished)) == 3)
    assert of(gateway.process, ReplyFinished)[2].text == "Now."
    assert of(gateway.process, ReplyInterrupted)[0].reason == "replaced"


async def test_the_agent_knows_what_was_injected_and_nobody_hears_it(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    assert await fleet.send(Inject("She is a gold member.")) == DONE
    call.type_text("hello")
    await hears(call, lambda: bool(of(gateway.process, ReplyFinished)))
    assert gateway.process.agent.requests[-1].notes == ("She is a gold member.",)
    assert [event.code for event in of(gateway.process, Notice)] == ["injected"]
    assert "gold" not in str(gateway.process.observed)


async def test_a_muted_caller_reaches_nobody(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    loud = np.full(320, 8000, np.int16)
    assert await fleet.send(Mute()) == DONE
    for digit in "4242":
        call.press_key(digit)
    call.type_text("secret")
    for _ in range(50):
        call.push_audio(loud)
    await asyncio.sleep(0.1)
    assert not of(gateway.process, SpeechStarted)
    assert not of(gateway.process, TurnCommitted)
    assert await fleet.send(Unmute()) == DONE
    assert await fleet.send(Unmute()) == DONE, "again: nothing changes"
    for _ in range(50):
        call.push_audio(loud)
    await hears(call, lambda: bool(of(gateway.process, SpeechStarted)))
    assert [event.code for event in of(gateway.process, Notice)] == ["muted", "unmuted"]


async def test_another_agent_answers_from_the_next_turn_on(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    assert (await fleet.send(HandOff(AGENT, "other"))).code == "gone"
    assert await fleet.send(HandOff(AGENT, ACME)) == DONE
    call.type_text("hello")
    await hears(call, lambda: bool(of(gateway.process, ReplyFinished)))
    assert not gateway.process.agent.requests
    assert gateway.successor.requests[0].agent == "second"
    (handed,) = of(gateway.process, Handoff)
    assert (handed.from_agent, handed.to_agent, handed.agent_id) == ("listed", "second", AGENT)


async def test_a_call_ends_at_once_or_after_last_words(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    first, second = await gateway.process.attach("one"), await gateway.process.attach("two")
    assert await fleet.send(End(), session="one") == DONE
    assert await first.ended() == "operator"
    assert await fleet.send(End("closing", "Good night."), session="two") == DONE
    await hears(second, lambda: len(of(gateway.process, SessionEnded)) == 2)
    assert await second.ended() == "closing"
    assert of(gateway.process, ReplyFinished)[0].text == "Good night."
    assert (await fleet.send(Say("Anybody?"), session="two")).status == "not_live"
    assert (await fleet.send(Say("Anybody?"), session="nobody")).status == "not_live"


async def test_a_phone_call_is_transferred_pressed_and_hung_up(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    assert (await fleet.send(HangUp())).code == "unknown_session", "it is no phone call"
    line = Line(PhoneCall("telnyx", "C1"), call)
    gateway.lines.add("call", line)
    assert (await fleet.send(PressKeys("12#"))).code == "not_possible", "this carrier takes no keys"
    gateway.api.refuses = True
    assert (await fleet.send(Transfer("+15559"))).code == "carrier_failed"
    gateway.api.refuses = False
    assert await fleet.send(Transfer("+15559")) == DONE
    assert gateway.api.asked == [("C1", "+15559")]
    assert await call.ended() == "transferred"
    other = await gateway.process.attach("other")
    gateway.lines.add("other", Line(PhoneCall("plivo", "C2"), other))
    assert await fleet.send(PressKeys("12#"), session="other") == DONE
    assert (await fleet.send(Transfer("+15559"), session="other")).code == "not_possible", "no account"
    assert await fleet.send(HangUp(), session="other") == DONE
    assert await other.ended() == "operator"


async def test_an_order_is_done_once_and_answered_alike(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    order = PressKeys("1")
    line = Line(PhoneCall("plivo", "C"), call)
    gateway.lines.add("call", line)
    again = Outcome("done", repeated=True)
    assert [await fleet.send(order, "one") for _ in range(3)] == [DONE, again, again]
    assert line.keys == ["1"]
    assert (await fleet.send(PressKeys("2"), "one")).code == "key_reused"
    assert await fleet.send(order, "two") == DONE
    assert line.keys == ["1", "1"]
    found = await asyncio.gather(*(fleet.send(order, "three") for _ in range(5)))
    assert line.keys == ["1", "1", "1"]
    assert DONE in found
    call.hang_up("client")
    await call.ended()
    assert await fleet.send(order, "two") == again, "what became of it is known after the call too"
    assert (await fleet.send(order, "four")).status == "not_live"


async def test_an_order_follows_a_call_that_moves(fleet: Fleet) -> None:
    first, second = await fleet.begin("a"), await fleet.begin("b")
    call = await first.process.attach()
    assert await fleet.send(HandOff(AGENT, ACME)) == DONE
    assert await fleet.send(Mute()) == DONE
    call.detach()
    moved = await second.process.attach(resume=Resume(call.resume_secret, 0))
    assert await fleet.send(Say("Still here.")) == DONE
    await hears(moved, lambda: bool(of(second.process, ReplyFinished)))
    assert of(second.process, ReplyFinished)[-1].text == "Still here."
    moved.type_text("hello?")
    await asyncio.sleep(0.05)
    assert not of(second.process, TurnCommitted), "it is muted where it went"


async def test_a_process_that_no_longer_has_the_call_says_so(fleet: Fleet) -> None:
    gateway, _ = await fleet.begin("a"), await fleet.begin("b")
    call = await gateway.process.attach()
    record = session_keys("call").session
    await fleet.redis.hset(record, "owner", "b")  # as it is read a moment before the call moves
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(fleet.orders.send("call", Say("Found you."), "moving", wait_s=5))
        await asyncio.sleep(0.25)
        assert not sending.done()
        await fleet.redis.hset(record, "owner", "a")
    assert sending.result() == DONE
    await hears(call, lambda: of(gateway.process, ReplyFinished))


async def test_what_nobody_waits_for_any_more_is_not_done_and_nothing_twice(fleet: Fleet) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    seconds, _ = await fleet.redis.time()
    for order_id, until_s in (("late", seconds - 1), ("in time", seconds + 60), ("in time", seconds + 60)):
        request = Request(order_id, "call", Say(f"I am {order_id}.", interrupt=False), "nobody", until_s * 1000)
        await fleet.redis.publish(order_channel("a"), msgspec.json.encode(request))
    assert await fleet.send(Say("The last one.", interrupt=False)) == DONE
    await hears(call, lambda: len(of(gateway.process, ReplyFinished)) >= 2)
    assert [event.text for event in of(gateway.process, ReplyText)] == ["I am in time.", "The last one."]
    assert not await fleet.redis.exists(order_key("call", "late"))


async def test_a_process_that_died_is_not_waited_for_long(fleet: Fleet, begin: Begin) -> None:
    silent = await begin("deaf")  # it has calls and hears no orders
    await silent.attach()
    began = SystemClock().monotonic()
    assert (await fleet.send(Say("Hello?"))).status == "not_live"
    assert SystemClock().monotonic() - began < 5


async def test_a_process_that_does_not_answer(fleet: Fleet, begin: Begin) -> None:
    silent = await begin("deaf")
    await silent.attach()
    async with fleet.redis.pubsub() as ear:
        await ear.subscribe(order_channel("deaf"))
        await ear.get_message(timeout=5)
        assert (await fleet.send(Say("Hello?"))).status == "no_answer"


async def test_the_line_finds_back_to_redis(
    fleet: Fleet, redis_config: RedisConfig, begin: Begin, redis_url: str
) -> None:
    gateway = await fleet.begin("a")
    call = await gateway.process.attach()
    await fleet.redis.client_kill_filter(_type="pubsub")
    async with asyncio.timeout(10):
        while await fleet.send(Say("Back.")) != DONE:
            pass
    await hears(call, lambda: bool(of(gateway.process, ReplyFinished)))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"id": 1}', b"x" * 100_000, b'{"order": {"type": "dance"}}'])
async def test_what_is_no_order_is_left_alone(fleet: Fleet, data: bytes) -> None:
    gateway = await fleet.begin("a")
    await gateway.process.attach()
    await fleet.redis.publish(order_channel("a"), data)
    assert await fleet.send(Say("Hello.")) == DONE


async def test_without_redis_the_sender_is_told(fleet: Fleet, begin: Begin) -> None:
    orders = fleet.orders
    async with open_orders("redis://127.0.0.1:1/0", STATE, SystemClock()) as nowhere:
        with pytest.raises(StateUnavailable):
            await nowhere.send("call", Say("Hello."))
    assert (await orders.send("nobody", Say("Hello."))).status == "not_live"
