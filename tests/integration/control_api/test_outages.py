"""A database or a Redis that is away: what is refused, what goes on, and that nothing is lost."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey
from psycopg import sql

from benchmarks.standstill import redis_server, standing_still
from control_api.identity.outsiders import JwksIssuer
from sessions.agents import AgentShelf
from tests.integration.control_api.api import Client, World, running_world
from tests.integration.control_api.standstill import degraded, equal, timed, until
from voicegate.embedded.redis import RedisConfig, embedded_redis


@pytest.fixture
async def own_world(database_url: str, shared_redis_url: str) -> AsyncIterator[World]:
    """With services that may be taken away."""
    async with running_world(database_url, shared_redis_url) as world:
        yield world


async def connections(server: str, name: str, allowed: bool) -> None:
    """Let nobody into the database any more, and throw out who is in it; or let them in again."""
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(allowed))
        )
        if not allowed:
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


async def test_without_the_database_requests_are_told_to_come_again(
    own_world: World, postgres_url: str, database_url: str
) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    owner = own_world.user()

    async def owner_reads() -> bool:
        return (await owner.get("/agents")).status == 200

    assert (await owner.post("/agents", {"name": "A"})).status == 201
    await connections(postgres_url, name, allowed=False)
    try:
        for got in (await owner.get("/agents"), await owner.post("/agents", {"name": "B"})):
            assert (got.status, got.code) == (503, "database_unavailable")
            assert int(got.headers["Retry-After"]) >= 1
        assert (await own_world.anybody().get("/health/live")).status == 200
    finally:
        await connections(postgres_url, name, allowed=True)
    await until(owner_reads)
    listed = await owner.get("/agents")
    assert [each["name"] for each in listed.body["items"]] == ["A"]


async def test_what_is_published_without_redis_arrives_when_it_is_back(database_url: str, tmp_path: Path) -> None:
    config = RedisConfig(directory=tmp_path / "redis")
    async with embedded_redis(config) as url, running_world(database_url, url) as world:
        agent = (await world.user().post("/agents", {"name": "A", "configuration": {"instructions": "x"}})).body["id"]
        await world.parts.redis.config_set("maxmemory", "1")  # every write is refused
        assert (await world.user().post(f"/agents/{agent}/publish")).status == 201, "the publication itself is stored"
        session = await world.user().post(f"/agents/{agent}/sessions")
        assert (session.status, session.code) == (503, "state_unavailable"), "new calls fail closed"
        await world.parts.redis.config_set("maxmemory", "0")
        await world.parts.publisher.deliver()
        assert await AgentShelf(world.parts.redis).take(agent)


async def test_a_publication_of_another_version_stops_no_other(own_world: World, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("INSERT INTO outbox (topic, key, payload) VALUES ('agent.published', 'x', '{}')")
    agent = (await own_world.user().post("/agents", {"name": "A", "configuration": {"instructions": "x"}})).body["id"]
    assert (await own_world.user().post(f"/agents/{agent}/publish")).status == 201
    assert await AgentShelf(own_world.parts.redis).take(agent)


# --- without Redis --------------------------------------------------------------------------------------------------


async def test_without_redis_the_database_answers_and_watchers_are_told(database_url: str, tmp_path: Path) -> None:
    config = RedisConfig(directory=tmp_path / "redis")
    async with embedded_redis(config) as redis_url, running_world(database_url, redis_url) as world:
        owner = world.user()
        live = await _live_conversation(world)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_notices(owner, live, 2))
            with standing_still(redis_server(config.directory)):
                await until(lambda: equal(degraded(world), ["state_away"]))
                for _ in range(3):
                    got = await timed(owner.get("/agents"))
                    assert (got.status, got.headers.get("X-Voicegate-Stale")) == (200, None)
                assert (await timed(owner.post("/agents", {"name": "A"}))).status == 201
            await until(lambda: equal(degraded(world), []))
        told = watching.result()
        assert [each["code"] for each in told] == ["state_away", "state_back"]
        assert {(each["type"], each["seq"], each["sessionId"]) for each in told} == {("notice", 0, "live-one")}


async def _live_conversation(world: World) -> str:
    async with await psycopg.AsyncConnection.connect(world.owner_url) as connection:
        found = await connection.execute(
            "INSERT INTO conversations (organization_id, session_id, started_at) VALUES (%s, %s, now()) RETURNING id",
            (world.ours.id, "live-one"),
        )
        row = await found.fetchone()
    await world.parts.redis.hset("voicegate:session:live-one", mapping={
        "agent": "x", "status": "live", "created_ms": "1", "updated_ms": "1", "transport": "", "seq": "0",
    })  # fmt: skip
    assert row is not None
    return str(row[0])


async def _notices(client: Client, conversation: str, count: int) -> list[dict[str, Any]]:
    address = f"{client.url}/api/v1/conversations/{conversation}/events"
    found: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(30),
        client.http.get(address, headers={"Authorization": f"Bearer {client.token}"}) as got,
    ):
        assert got.status == 200
        async for line in got.content:
            if line.startswith(b"data:"):
                found.append(json.loads(line[5:]))
            if len(found) == count:
                return found
    raise AssertionError("the stream ended")


# --- without an issuer ----------------------------------------------------------------------------------------------

ISSUER = "https://issuer.example"


@asynccontextmanager
async def issuer(key: ECKey) -> AsyncIterator[tuple[str, web.TCPSite]]:
    """The address of an issuer's keys; stop the site, and it is away."""

    async def keys(request: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False)]})

    application = web.Application()
    application.router.add_get("/keys", keys)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/keys", site
    finally:
        await runner.cleanup()


async def test_without_its_issuer_a_token_that_was_seen_reads(database_url: str, shared_redis_url: str) -> None:
    key = ECKey.generate_key("P-256", {"kid": "one"})

    def token(email: str) -> str:
        claims: dict[str, Any] = {"iss": ISSUER, "aud": "us", "email": email, "sub": "x"}
        claims["exp"] = int(datetime.now(UTC).timestamp()) + 100
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, key, ["ES256"])

    async with issuer(key) as (url, site):
        config = {"outsiders": (JwksIssuer(issuer=ISSUER, audience="us", url=url),)}
        async with running_world(database_url, shared_redis_url, **config) as world:
            email = world.ours.users["owner"].email
            seen, unseen = token(email), token(world.ours.users["admin"].email)
            assert (await world.with_token(seen).get("/agents")).status == 200
            assert await degraded(world) == []
            await until(lambda: _has_keys(world, "voicegate:seen:*"))
        await site.stop()
        async with running_world(database_url, shared_redis_url, **config) as world:
            known = world.with_token(seen)
            assert (await known.get("/agents")).status == 200, "seen by the process before"
            for got in (
                await known.post("/agents", {"name": "A"}),
                await world.with_token(unseen).get("/agents"),
                await world.with_token(seen[:-4] + "AAAA").get("/agents"),
            ):
                assert (got.status, got.code) == (503, "issuer_unavailable")
                assert int(got.headers["Retry-After"]) >= 1
            await until(lambda: equal(degraded(world), ["issuer_away"]))
            assert (await world.anybody().get("/health")).status == 200, "the API itself is well"
            assert (await world.user().post("/agents", {"name": "A"})).status == 201, "and so is our own issuer"


async def _has_keys(world: World, pattern: str) -> bool:
    return bool([key async for key in world.parts.redis.scan_iter(match=pattern)])
