"""Tags, feedback, and the erasure of what was said: from everywhere, and for good."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from control_api.conversations.consumer import Consumer
from sessions.keys import session_keys
from sessions.store import Store
from tests.integration.control_api.api import World
from tests.integration.control_api.test_conversations import CONFIG, a_published_agent, calling, found, script, started
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.ids import SessionId, new_session_id
from voicegate.kernel.telemetry import NoTelemetry

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = ("open", "At nine", "Sunday", "+15551234", "gold")
"""Of the caller, of the agent, of the context."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(world: World) -> AsyncIterator[str]:
    yield await a_published_agent(world)


async def a_conversation(world: World) -> str:
    turns = [{"userText": "When do you open?", "agentText": "At nine."}]
    return str((await world.user().post("/conversations", {"turns": turns})).body["id"])


async def a_call(world: World, agent: str) -> tuple[str, str]:
    """A whole call: its conversation, its session."""
    session_id = new_session_id()
    async with calling(world, agent, session_id, context={"caller": "+15551234", "note": "gold"}) as log:
        for event in script(session_id):
            log.emit(event)
        await log.stored()
    return (await found(world, session_id, "ended"))["id"], session_id


async def stored(world: World, conversation: str, session_id: str = "") -> str:
    """Everything that database and Redis have of it, as text."""
    tables = (
        "conversations WHERE id",
        *(f"conversation_{each} WHERE conversation_id" for each in ("turns", "feedback")),
    )
    kept = ""
    async with world.parts.database.system() as session:
        for table in tables:
            rows = await session.execute(
                text(f"SELECT t::text FROM {table.replace(' ', ' t ', 1)} = :id"), {"id": conversation}
            )
            kept += "\n".join(row[0] for row in rows)
        rows = await session.execute(
            text("SELECT convert_from(body, 'UTF8') FROM idempotency_keys WHERE body IS NOT NULL")
        )
        kept += "\n".join(row[0] for row in rows if conversation in row[0])
    if session_id:
        keys = session_keys(session_id)
        kept += str(await world.parts.redis.xrange(keys.events))
        kept += str(await world.parts.redis.hgetall(keys.transcript))
        kept += str(await world.parts.redis.hgetall(keys.session))
    async for key in world.parts.redis.scan_iter(match="voicegate:answer*"):
        kept += str(await world.parts.redis.dump(key))
    return kept


# --- tags ---


async def test_tags_are_replaced(world: World) -> None:
    conversation, user = await a_conversation(world), world.user("agent")
    got = await user("PUT", f"/conversations/{conversation}/tags", {"tags": ["new", " vip ", "new"]})
    assert (got.status, got.body) == (200, {"conversationId": conversation, "tags": ["new", "vip"]})
    assert (await user.get(f"/conversations/{conversation}")).body["tags"] == ["new", "vip"]
    assert (await user("PUT", f"/conversations/{conversation}/tags", {"tags": []})).body["tags"] == []


@pytest.mark.parametrize("tags", [None, "vip", [""], [" "], ["x" * 51], ["a\x00"], ["x"] * 21, [1], [None]])
async def test_tags_that_are_none(world: World, tags: object) -> None:
    got = await world.user()("PUT", f"/conversations/{uuid4()}/tags", {"tags": tags})
    assert (got.status, got.code) == (422, "invalid")


# --- feedback ---


async def test_feedback_is_kept_newest_first(world: World) -> None:
    conversation, user = await a_conversation(world), world.user("agent")
    path = f"/conversations/{conversation}/feedback"
    for rating in (1, 5):
        assert (await user.post(path, {"rating": rating, "turn": 1, "text": "So."})).status == 201
    got = (await user.get(path + "?limit=1")).body
    assert [(each["rating"], each["turn"], each["text"]) for each in got["items"]] == [(5, 1, "So.")]
    got = (await user.get(f"{path}?limit=1&cursor={got['nextCursor']}")).body
    assert ([each["rating"] for each in got["items"]], got["nextCursor"]) == ([1], None)
    assert got["items"][0]["userId"] == str(world.ours.users["agent"].id)


async def test_feedback_comes_once(world: World) -> None:
    path = f"/conversations/{await a_conversation(world)}/feedback"
    key = {"Idempotency-Key": "feedback-once"}
    first, again = [await world.user().post(path, {"text": "Good."}, headers=key) for _ in range(2)]
    assert (first.status, first.body) == (201, again.body)
    assert len((await world.user().get(path)).body["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"text": " "}, {"rating": 0}, {"rating": 6}, {"rating": 2.5}, {"rating": 3, "turn": 0}, {"text": "x" * 2_001},
     {"rating": 3, "turn": 1 << 40}, {"rating": 3, "more": 1}, {"text": "a\x00"}],
)  # fmt: skip
async def test_feedback_that_is_none(world: World, body: object) -> None:
    got = await world.user().post(f"/conversations/{uuid4()}/feedback", body)
    assert (got.status, got.code) == (422, "invalid")


# --- erasure ---


async def test_nothing_that_was_said_is_left_anywhere(world: World, agent: str) -> None:
    conversation, session_id = await a_call(world, agent)
    owner = world.user()
    path = f"/conversations/{conversation}"
    await owner.post(path + "/feedback", {"text": "He asked about Sunday."}, headers={"Idempotency-Key": "about"})
    before = (await owner.get(path)).body
    assert {word for word in WORDS if word in await stored(world, conversation, session_id)} == set(WORDS)
    got = await owner.post(path + "/erase")
    assert got.status == 200, got.data
    erased_at = got.body["erasedAt"]
    assert [word for word in WORDS if word in await stored(world, conversation, session_id)] == []
    after = (await owner.get(path)).body
    assert (after["status"], after["erasedAt"], after["clientPhone"], after["context"]) == (
        "erased",
        erased_at,
        None,
        {},
    )
    for kept in ("turnsCount", "interruptions", "failures", "startedAt", "endedAt", "agentId", "endedReason"):
        assert after[kept] == before[kept], kept
    assert [turn["userText"] + turn["agentText"] for turn in after["turns"]] == [""] * len(before["turns"])
    latency = (await owner.get(path + "/latency")).body["turns"]
    assert latency[0]["voiceToVoiceMs"] == 400.0, "how long it took stays"
    assert (await owner.get(path + "/transcript")).body["lines"] == []
    assert (await owner.get(path + "/transcript?format=text")).data == b""
    assert b"Sunday" not in (await owner.get(path + "/events")).data
    assert (await owner.post(path + "/erase")).body["erasedAt"] == erased_at, "once is enough"
    got = await owner.post(path + "/feedback", {"text": "more words"})
    assert (got.status, got.code) == (409, "erased")


async def test_what_a_consumer_reads_again_does_not_come_back(world: World, agent: str) -> None:
    conversation, session_id = await a_call(world, agent)
    redis, keys = world.parts.redis, session_keys(session_id)
    copies = {key: await redis.dump(key) or b"" for key in (keys.session, keys.events, keys.transcript)}
    assert (await world.user().post(f"/conversations/{conversation}/erase")).status == 200
    for key, copy in copies.items():  # a Redis that was restored from yesterday
        await redis.restore(key, 0, copy)
    consumer = Consumer(redis, Store(redis, CONFIG), world.parts.database, SystemClock(), NoTelemetry(), world.ours.id)
    for _ in range(3):
        await consumer.round()
    assert [word for word in WORDS if word in await stored(world, conversation)] == []
    await redis.delete(*copies)


async def test_a_call_that_goes_on_is_refused(world: World, agent: str) -> None:
    async with calling(world, agent) as log:
        log.emit(started(log))
        await log.stored()
        conversation = (await found(world, log.record.id))["id"]
        got = await world.user().post(f"/conversations/{conversation}/erase")
        assert (got.status, got.code) == (409, "conflict")
        async with world.parts.database.system() as session:
            ended = text("UPDATE conversations SET status = 'failed', ended_at = now() WHERE id = :id")
            await session.execute(ended, {"id": conversation})
        got = await world.user().post(f"/conversations/{conversation}/erase")
        assert (got.status, got.code) == (409, "conflict"), "it was taken for lost, and its process lives"
        assert await world.parts.redis.exists(session_keys(log.record.id).session)


async def test_a_later_call_of_the_same_session_is_left_alone(world: World, agent: str) -> None:
    _, session_id = await a_call(world, agent)
    store = world.parts.store
    record = await store.load(SessionId(session_id))
    assert record is not None
    await world.parts.redis.hset(session_keys(session_id).session, "created_ms", "1")
    assert await store.erase(SessionId(session_id), record.created_at)
    assert await world.parts.redis.exists(session_keys(session_id).events)


async def test_who_may_erase(world: World, agent: str) -> None:
    conversation = await a_conversation(world)
    for role in ("developer", "agent", "analyst", "billing"):
        assert (await world.user(role).post(f"/conversations/{conversation}/erase")).code == "forbidden"
    assert (await world.user("owner", world.theirs).post(f"/conversations/{conversation}/erase")).status == 404
    assert (await world.user("admin").post(f"/conversations/{conversation}/erase")).status == 200


async def test_an_import_that_was_erased_is_not_repeated(world: World) -> None:
    body = {"turns": [{"userText": "When do you open on Sunday?"}]}
    key = {"Idempotency-Key": "imported"}
    made = (await world.user().post("/conversations", body, headers=key)).body["id"]
    assert (await world.user().post(f"/conversations/{made}/erase")).status == 200
    again = await world.user().post("/conversations", body, headers=key)
    assert (again.status, again.body["id"], b"Sunday" in again.data) == (201, made, False)
    assert again.body["turns"][0]["userText"] == ""
