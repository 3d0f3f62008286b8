"""Conversations: from the gateway's own journal through the consumer to what is read over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from control_api.conversations import consumer
from control_api.conversations.consumer import Consumer
from sessions.config import Config
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.log import SessionLog
from sessions.store import Store
from tests.integration.control_api.api import World
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import (
    Event,
    Latency,
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    ReplyStarted,
    ReplyText,
    SessionEnded,
    SessionStarted,
    ToolFinished,
    TurnCommitted,
)
from voicegate.kernel.ids import SessionId, TurnId, new_session_id
from voicegate.kernel.telemetry import NoTelemetry

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = Config()


@asynccontextmanager
async def calling(
    world: World, agent: str, session_id: SessionId | None = None, *, context: dict[str, str] | None = None
) -> AsyncIterator[SessionLog]:
    """A call's journal, as a gateway has it."""
    client: Redis = world.parts.redis
    session_id = session_id or new_session_id()
    store = Store(client, CONFIG)
    async with Leases(client, CONFIG, "test") as leases, Journal(client, CONFIG, leases) as journal:
        record = await store.create(session_id, agent=agent, transport="test", context=context, replace=True)
        async with journal.open(record, await leases.acquire(session_id)) as log:
            yield log


def at(seq: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seq)


def started(log: SessionLog) -> Event:
    return SessionStarted(session_id=log.record.id, seq=1, at=at(0), agent="Teller", transport="test")


def script(session_id: SessionId) -> list[Event]:
    """A whole call: a greeting, a question that is answered, one whose answer is interrupted."""
    made: list[Event] = []

    def add(event: Callable[..., Event], turn: int | None = None, /, **values: Any) -> None:
        seq = len(made) + 1
        made.append(
            event(session_id=session_id, seq=seq, at=at(seq), turn=None if turn is None else TurnId(turn), **values)
        )

    add(SessionStarted, agent="Teller", transport="test")
    add(ReplyStarted, 1, kind="greeting", agent="Teller")
    add(ReplyText, 1, text="Hello.")
    add(ReplyFinished, 1, text="Hello.")
    add(TurnCommitted, 2, text="When do you <open>?")
    add(ReplyStarted, 2, agent="Teller")
    add(ToolFinished, 2, call_id="c", name="clock", ok=True, result="nine", duration_ms=12.34)
    add(ReplyText, 2, text="At nine.")
    add(
        Latency,
        2,
        voice_to_voice_ms=400.0,
        endpointing_ms=260.0,
        stt_ms=40.0,
        agent_ms=50.0,
        tts_ms=30.0,
        playout_ms=20.0,
    )
    add(ReplyHeard, 2, text="At")
    add(ReplyFinished, 2, text="At nine.")
    add(TurnCommitted, 3, text="And on Sunday?")
    add(ReplyStarted, 3, agent="Teller")
    add(ReplyText, 3, text="Never on a Sunday.")
    add(ReplyInterrupted, 3, heard="Never on", cut="a Sunday.")
    add(SessionEnded, reason="client")
    return made


async def a_published_agent(world: World) -> str:
    configuration = {"knowledge": [{"topic": "hours", "text": "Nine."}]}
    agent = (await world.user().post("/agents", {"name": "Teller", "configuration": configuration})).body["id"]
    assert (await world.user().post(f"/agents/{agent}/publish")).status == 201
    return str(agent)


async def until(ask: Callable[[], Awaitable[Any]], deadline_s: float = 10) -> Any:
    async with asyncio.timeout(deadline_s):
        while not (found := await ask()):
            await asyncio.sleep(0.01)
    return found


async def found(world: World, session_id: str, status: str = "") -> Any:
    """The conversation of a session, once it is there (in that state)."""

    async def ask() -> Any:
        items = (await world.user().get("/conversations?limit=100")).body["items"]
        return next(
            (each for each in items if each["sessionId"] == session_id and status in ("", each["status"])), None
        )

    return await until(ask)


async def a_whole_call(world: World, **options: Any) -> Any:
    agent = await a_published_agent(world)
    async with calling(world, agent, **options) as log:
        for event in script(log.record.id):
            log.emit(event)
    return await found(world, log.record.id, "ended")


async def test_a_call_is_there_as_soon_as_it_begins(world: World) -> None:
    """Judged by the quickest of several, because the machine may stall at any one."""
    agent = await a_published_agent(world)
    took = []
    for _ in range(5):
        async with calling(world, agent) as log:
            began = SystemClock().monotonic()
            log.emit(started(log))
            shown = await found(world, log.record.id)
            took.append(SystemClock().monotonic() - began)
            assert (shown["status"], shown["agentId"], shown["agentVersion"]) == ("active", agent, 1)
            log.emit(SessionEnded(session_id=log.record.id, seq=2, at=at(1), reason="client"))
    assert min(took) < 0.4, took


async def test_a_call_that_begins_does_not_wait_until_events_have_gathered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer rests for seconds; it is woken by a call, and rests on."""
    monkeypatch.setattr(consumer, "ROUND_S", 4.0)
    agent = await a_published_agent(world)
    took = []
    for _ in range(3):
        async with calling(world, agent) as log:
            began = SystemClock().monotonic()
            log.emit(started(log))
            await found(world, log.record.id)
            took.append(SystemClock().monotonic() - began)
            log.emit(SessionEnded(session_id=log.record.id, seq=2, at=at(1), reason="client"))
    assert sorted(took)[1] < 2, took


async def test_a_call_is_kept_with_its_turns(world: World) -> None:
    summary = await a_whole_call(world, context={"caller": "+15551234567"})
    assert (summary["agentName"], summary["endedReason"], summary["turnsCount"]) == ("Teller", "client", 3)
    assert (summary["interruptions"], summary["failures"], summary["clientPhone"]) == (1, 0, "+15551234567")
    shown = (await world.user().get(f"/conversations/{summary['id']}")).body
    said = [(turn["turn"], turn["userText"], turn["agentText"], turn["agentState"]) for turn in shown["turns"]]
    assert said == [
        (1, "", "Hello.", "finished"),
        (2, "When do you <open>?", "At nine.", "finished"),
        (3, "And on Sunday?", "Never on", "interrupted"),
    ]
    assert shown["turns"][1]["tools"] == [{"name": "clock", "ok": True, "durationMs": 12.3}]
    latency = (await world.user().get(f"/conversations/{summary['id']}/latency")).body["turns"]
    assert [(each["turn"], each["voiceToVoiceMs"], each["sttMs"]) for each in latency] == [(2, 400.0, 40.0)]


async def test_its_transcript_in_three_forms(world: World) -> None:
    summary = await a_whole_call(world)
    path = f"/conversations/{summary['id']}/transcript"
    lines = (await world.user().get(path)).body["lines"]
    assert [(line["role"], line["text"]) for line in lines] == [
        ("agent", "Hello."),
        ("user", "When do you <open>?"),
        ("agent", "At nine."),
        ("user", "And on Sunday?"),
        ("agent", "Never on"),
    ]
    text = await world.user().get(f"{path}?format=text")
    assert text.headers["Content-Type"].startswith("text/plain")
    assert text.data.decode().splitlines()[-1] == "Teller: Never on —"
    vtt = await world.user().get(f"{path}?format=vtt")
    assert vtt.headers["Content-Type"].startswith("text/vtt")
    assert vtt.data.startswith(b"WEBVTT\n\n00:00:")
    assert b"<v Caller>When do you &lt;open&gt;?" in vtt.data
    assert (await world.user().get(f"{path}?format=pdf")).code == "invalid"


async def test_everything_again_changes_nothing(world: World) -> None:
    """A second consumer starts from nothing, as after a crash, and reads all calls from their first events."""
    summary = await a_whole_call(world)
    before = (await world.user().get(f"/conversations/{summary['id']}")).body
    parts = world.parts
    second = Consumer(parts.redis, parts.store, parts.database, SystemClock(), NoTelemetry(), None)
    second._calls = {}
    await second._open(summary["sessionId"])
    assert second._calls, "it follows the call again"
    while second._calls:
        await second.round()
    assert (await world.user().get(f"/conversations/{summary['id']}")).body == before


async def test_what_ran_while_nobody_followed_is_made_up_for(world: World) -> None:
    """The call is over, and its lease gone, before a consumer looks."""
    parts = world.parts
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        for event in script(log.record.id):
            log.emit(event)
    late = Consumer(parts.redis, parts.store, parts.database, SystemClock(), NoTelemetry(), None)
    await found(world, log.record.id, "ended")
    async with parts.database.system() as session:
        await session.execute(text("DELETE FROM conversations WHERE session_id = :id"), {"id": log.record.id})
    await late.round()
    while late._calls:
        await late.round()
    assert (await found(world, log.record.id, "ended"))["turnsCount"] == 3


async def test_a_session_id_that_is_used_again_is_another_call(world: World) -> None:
    session_id = new_session_id()
    first = await a_whole_call(world, session_id=session_id)
    agent = await a_published_agent(world)
    async with calling(world, agent, session_id) as log:
        log.emit(started(log))

        async def second() -> Any:
            shown = await found(world, session_id)
            return shown if shown["id"] != first["id"] else None

        assert (await until(second))["status"] == "active"
        assert (await world.user().get(f"/conversations/{first['id']}")).body["turnsCount"] == 3
        log.emit(SessionEnded(session_id=session_id, seq=2, at=at(1), reason="client"))


async def test_calls_of_nobody_are_not_kept(world: World) -> None:
    async with calling(world, "") as log, calling(world, str(uuid4())) as other:
        for each in (log, other):
            each.emit(started(each))
        marker = await a_whole_call(world)
        items = (await world.user().get("/conversations?limit=100")).body["items"]
    assert marker["id"] in [each["id"] for each in items]
    assert not {log.record.id, other.record.id} & {each["sessionId"] for each in items}


async def test_lists_are_filtered(world: World) -> None:
    summary = await a_whole_call(world)
    for query, there in (
        (f"agentId={summary['agentId']}", True),
        ("status=ended", True),
        ("status=active", False),
    ):
        items = (await world.user().get(f"/conversations?limit=100&{query}")).body["items"]
        assert (summary["id"] in [each["id"] for each in items]) is there, query
    assert (await world.user().get(f"/conversations?agentId={uuid4()}")).code == "not_found"


async def test_a_conversation_from_elsewhere(world: World) -> None:
    body = {
        "clientPhone": "+44 20 7946 0000",
        "tags": ["moved"],
        "turns": [{"userText": "Hello?", "at": "2026-01-02T03:04:05Z"}, {"agentText": "Hello!"}],
    }
    headers = {"Idempotency-Key": uuid4().hex}
    made = await world.user("agent").post("/conversations", body, headers=headers)
    assert (made.status, made.body["status"], made.body["tags"]) == (201, "ended", ["moved"])
    assert [turn["userText"] + turn["agentText"] for turn in made.body["turns"]] == ["Hello?", "Hello!"]
    again = await world.user("agent").post("/conversations", body, headers=headers)
    assert (again.body, again.headers["Idempotency-Replayed"]) == (made.body, "true")
    assert (await world.user().get(f"/conversations/{made.body['id']}")).body == made.body
    foreign = {**body, "agentId": str(uuid4())}
    assert (await world.user().post("/conversations", foreign)).code == "not_found"


async def messages(world: World, conversation: str, last: str = "", count: int = 10_000) -> list[tuple[int, str, Any]]:
    """Server-Sent Events until the stream ends, or so many came."""
    client = world.user()
    headers = {"Authorization": f"Bearer {client.token}"} | ({"Last-Event-ID": last} if last else {})
    got: list[tuple[int, str, Any]] = []
    address = f"{world.url}/api/v1/conversations/{conversation}/events"
    async with world.http.get(address, headers=headers) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "data" in fields:
                got.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
            fields = {}
            if len(got) >= count:
                break
    return got


async def test_events_of_a_call_that_is_over(world: World) -> None:
    summary = await a_whole_call(world)
    everything = await messages(world, summary["id"])
    assert [seq for seq, _, _ in everything] == list(range(1, 17))
    assert (everything[0][1], everything[-1][1]) == ("session.started", "session.ended")
    assert everything[4][2]["text"] == "When do you <open>?"
    assert await messages(world, summary["id"], last="14") == everything[14:]
    assert await messages(world, summary["id"], last="99") == []


async def test_events_come_as_they_happen(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log, asyncio.TaskGroup() as tasks:
        log.emit(started(log))
        conversation = (await found(world, log.record.id))["id"]
        watching = tasks.create_task(messages(world, conversation))
        vanished = await messages(world, conversation, count=1)
        for event in script(log.record.id)[1:]:
            log.emit(event)
        assert [seq for seq, _, _ in await watching] == list(range(1, 17))
        assert len(vanished) == 1, "a client that goes away stops nothing but itself"


@pytest.mark.parametrize("last", ["x", "-1", "9" * 20, "1.5"])
async def test_a_last_event_that_is_no_number(world: World, last: str) -> None:
    made = await world.user().post("/conversations", {"turns": []})
    got = await world.user().get(f"/conversations/{made.body['id']}/events", headers={"Last-Event-ID": last})
    assert got.code == "invalid"


async def test_foreign_conversations_are_not_there(world: World) -> None:
    summary = await a_whole_call(world)
    stranger = world.user("owner", world.theirs)
    assert summary["id"] not in [each["id"] for each in (await stranger.get("/conversations")).body["items"]]
    for path in ("", "/transcript", "/latency", "/events"):
        assert (await stranger.get(f"/conversations/{summary['id']}{path}")).code == "not_found", path


async def test_a_call_that_cannot_be_stored_stops_nobody_else(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as bad, calling(world, agent) as good:
        turn = TurnId(2**40)  # more than the column holds
        bad.emit(TurnCommitted(session_id=bad.record.id, seq=1, at=at(0), turn=turn, text="Hi"))
        for event in script(good.record.id):
            good.emit(event)
        assert (await found(world, good.record.id, "ended"))["turnsCount"] == 3
    assert (await a_whole_call(world))["turnsCount"] == 3


async def test_an_event_of_a_newer_gateway_does_no_harm(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        log.emit(started(log))
        await found(world, log.record.id)
        await world.parts.redis.xadd(f"voicegate:session:{log.record.id}:events", {"e": b'{"type":"new"}'}, id="2-0")
        await world.parts.redis.hset(f"voicegate:session:{log.record.id}", "seq", "2")
        log.emit(SessionEnded(session_id=log.record.id, seq=3, at=at(1), reason="client"))
    assert (await found(world, log.record.id, "ended"))["endedReason"] == "client"
