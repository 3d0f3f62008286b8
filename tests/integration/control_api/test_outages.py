"""A database or a Redis that is away: what is refused, what goes on, and that nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from sessions.agents import AgentShelf
from tests.integration.control_api.api import World, running_world
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


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.05)


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
