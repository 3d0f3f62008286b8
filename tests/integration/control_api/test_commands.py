"""Commands to live calls over HTTP: from the caller's token to what the call does, and everything that is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from benchmarks.simulated import EnergyActivity, Latencies, SimulatedSpeech, SimulatedSpeechToText
from gateway.conversation import CallRequest
from gateway.phone.capability import Capabilities, NotesHere
from gateway.phone.line_orders import PhoneOrders
from gateway.phone.lines import PhoneLines
from pipeline.session_config import Engines, SessionConfig
from sessions.agents import AgentShelf
from sessions.connection import open_client
from sessions.journal import Journal
from sessions.keys import order_channel
from sessions.lease import Leases
from sessions.store import Store
from tests.integration.control_api.api import World
from tests.integration.control_api.test_conversations import CONFIG, a_published_agent, found, until
from tests.integration.voicegate.conftest import Listed
from voicegate.call import Call
from voicegate.calls import CallRegistry, CallsConfig, State
from voicegate.casting import Cast
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.events import Event, Handoff, Notice, ReplyFinished, ReplyStarted, SessionEnded
from voicegate.kernel.ids import SessionId, new_session_id
from voicegate.orders import obeying

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = Latencies(stt_ms=1, tts_ms=1)


@dataclass
class Gateway:
    """A gateway's calls, without its sockets."""

    registry: CallRegistry
    agent: Listed
    successor: Listed
    observed: list[Event] = field(default_factory=list)

    def of(self, session_id: str, kind: type) -> list[Any]:
        return [event for event in self.observed if isinstance(event, kind) and event.session_id == session_id]


@dataclass
class Live:
    """A call that goes on, as its organisation sees it."""

    call: Call
    conversation: str
    gateway: Gateway

    @property
    def path(self) -> str:
        return f"/conversations/{self.conversation}/commands"

    def of(self, kind: type) -> list[Any]:
        return self.gateway.of(self.call.session_id, kind)

    async def hears(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.call.take_frames()
                await asyncio.sleep(0.001)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(world: World, shared_redis_url: str) -> AsyncIterator[Gateway]:
    clock, agent, successor, observed = SystemClock(), Listed(), Listed("second", "second"), list[Event]()
    async with AsyncExitStack() as stack:
        client = open_client(shared_redis_url, CONFIG)
        stack.push_async_callback(client.aclose)
        leases = await stack.enter_async_context(Leases(client, CONFIG, "gateway"))
        journal = await stack.enter_async_context(Journal(client, CONFIG, leases))
        engines = Engines(EnergyActivity(), SimulatedSpeechToText(QUICK), agent, SimulatedSpeech(QUICK))
        state = State(Store(client, CONFIG), leases, journal, CONFIG)
        registry = CallRegistry(engines, SessionConfig(), CallsConfig(), state, clock, observed.append)
        await stack.enter_async_context(registry)
        shelf = AgentShelf(client)

        async def take_over(agent_id: str, organization_id: str) -> Cast:
            snapshot = await shelf.take(agent_id)
            if snapshot is None or snapshot.organization_id != organization_id:
                raise RefusedCall("gone", "not published")
            return Cast(Engines(engines.vad, engines.stt, successor, engines.tts), SessionConfig(), published=True)

        phones = PhoneOrders(PhoneLines(), Capabilities(NotesHere(clock), hold_s=60), {})
        await stack.enter_async_context(obeying(shared_redis_url, CONFIG, registry, take_over, phones))

        async def listening() -> Any:
            return (await client.pubsub_numsub(order_channel("gateway")))[0][1]

        await until(listening)
        yield Gateway(registry, agent, successor, observed)


async def a_call(world: World, gateway: Gateway, agent: str = "") -> Live:
    agent = agent or await a_published_agent(world)
    request = CallRequest(SessionId(new_session_id()), "test", 16_000, greeting=False, agent=agent)
    call = await gateway.registry.attach(request)
    conversation = await found(world, call.session_id)
    return Live(call, conversation["id"], gateway)


async def test_every_command_reaches_the_call(world: World, gateway: Gateway) -> None:
    live, user = await a_call(world, gateway), world.user("agent")
    got = await user.post(live.path, {"type": "say", "text": "We close at nine."})
    assert (got.status, got.body["status"], got.body["type"]) == (200, "done", "say")
    await live.hears(lambda: live.of(ReplyFinished))
    assert live.of(ReplyStarted)[0].kind == "say"
    for command in ({"type": "mute"}, {"type": "unmute"}, {"type": "inject", "text": "A gold member."}):
        assert (await user.post(live.path, command)).status == 200
    await live.hears(lambda: len(live.of(Notice)) == 3)
    assert [event.code for event in live.of(Notice)] == ["muted", "unmuted", "injected"]
    successor = await a_published_agent(world)
    assert (await user.post(live.path, {"type": "handoff", "agentId": successor})).status == 200
    live.call.type_text("hello")
    await live.hears(lambda: len(live.of(ReplyFinished)) == 2)
    assert live.of(Handoff)[0].agent_id == successor
    assert gateway.successor.requests[-1].notes == ("A gold member.",)
    got = await user.post(live.path, {"type": "end", "reason": "closing", "lastWords": "Good night."})
    assert got.status == 200
    await live.hears(lambda: live.of(SessionEnded))
    assert live.of(ReplyFinished)[-1].text == "Good night."
    assert (await found(world, live.call.session_id, "ended"))["endedReason"] == "closing"
    got = await user.post(live.path, {"type": "say", "text": "Anybody?"})
    assert (got.status, got.code) == (409, "not_live")


async def test_a_key_is_done_once(world: World, gateway: Gateway) -> None:
    live, user = await a_call(world, gateway), world.user()
    key = {"Idempotency-Key": "once"}
    say = {"type": "say", "text": "Once."}
    first = await user.post(live.path, say, headers=key)
    again = await user.post(live.path, say, headers=key)
    assert (first.status, again.status, first.body) == (200, 200, again.body)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await user.post(live.path, {"type": "say", "text": "Twice."}, headers=key)
    assert (other.status, other.code) == (422, "key_reused")
    await live.hears(lambda: live.of(ReplyFinished))
    assert (await world.user("admin").post(live.path, say, headers=key)).status == 200, "another's key is another"
    await live.hears(lambda: len(live.of(ReplyFinished)) == 2)
    live.call.hang_up("client")


async def test_what_only_a_phone_can_do(world: World, gateway: Gateway) -> None:
    live = await a_call(world, gateway)
    for command in ({"type": "transfer", "to": "+15559"}, {"type": "keys", "digits": "1#"}, {"type": "hangUp"}):
        got = await world.user().post(live.path, command)
        assert (got.status, got.code) == (409, "not_possible")
    live.call.hang_up("client")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"type": "dance"},
        {"type": "say"},
        {"type": "say", "text": ""},
        {"type": "say", "text": "  "},
        {"type": "say", "text": "x" * 2_001},
        {"type": "say", "text": "a\x00b"},
        {"type": "say", "text": "x", "more": 1},
        {"type": "inject", "text": "x" * 2_001},
        {"type": "end", "reason": "No Words"},
        {"type": "end", "lastWords": "x" * 2_001},
        {"type": "handoff", "agentId": "nobody"},
        {"type": "transfer", "to": "sip:x@y"},
        {"type": "keys", "digits": "E"},
    ],
)
async def test_commands_that_are_none(world: World, gateway: Gateway, body: object) -> None:
    got = await world.user().post("/conversations/7c9e6679-7425-40de-944b-e07fc1f90ae7/commands", body)
    assert (got.status, got.code) == (422, "invalid")
    got = await world.user().post("/conversations/7c9e6679-7425-40de-944b-e07fc1f90ae7/commands", {"type": "mute"})
    assert (got.status, got.code) == (404, "not_found")


async def test_the_wall_stands_around_live_calls(world: World, gateway: Gateway) -> None:
    live, stranger = await a_call(world, gateway), world.user("owner", world.theirs)
    assert (await stranger.post(live.path, {"type": "end"})).status == 404
    assert (await world.user("analyst").post(live.path, {"type": "end"})).code == "forbidden"
    made = (await stranger.post("/agents", {"name": "A", "configuration": {"instructions": "Hi."}})).body["id"]
    assert (await stranger.post(f"/agents/{made}/publish")).status == 201
    got = await world.user().post(live.path, {"type": "handoff", "agentId": made})
    assert (got.status, got.code) == (404, "not_found"), "another organisation's agent"
    draft = (await world.user().post("/agents", {"name": "A"})).body["id"]
    got = await world.user().post(live.path, {"type": "handoff", "agentId": draft})
    assert (got.status, got.code) == (409, "not_published")
    assert not live.of(SessionEnded)
    live.call.hang_up("client")


async def test_who_ordered_what_is_noted(world: World, gateway: Gateway) -> None:
    live = await a_call(world, gateway)
    await world.user("developer").post(live.path, {"type": "say", "text": "Between us."})
    async with world.parts.database.system() as session:
        rows = await session.execute(
            text("SELECT action, details FROM audit_log WHERE subject = :id"), {"id": live.conversation}
        )
        noted = [tuple(row) for row in rows]
    assert noted == [("conversation.commanded", {"command": "say"})], "and not what was said"
    live.call.hang_up("client")


async def test_a_gateway_that_does_not_answer(world: World, gateway: Gateway) -> None:
    live = await a_call(world, gateway)
    client = world.parts.redis
    await client.hset(f"voicegate:session:{live.call.session_id}", "owner", "deaf")
    async with client.pubsub() as ear:
        await ear.subscribe(order_channel("deaf"))
        await ear.get_message(timeout=1)
        got = await world.user().post(live.path, {"type": "mute"})
    assert (got.status, got.code) == (504, "no_answer")
    live.call.hang_up("client")
