"""Notes that all processes share: kept for a while, taken once, spent once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sessions.config import Config
from sessions.connection import open_client
from sessions.notes import SharedNotes
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import StateUnavailable


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    opened = open_client(redis_url, Config())
    yield opened
    await opened.aclose()


@pytest.fixture
def notes(client: Redis) -> SharedNotes:
    return SharedNotes(client, SystemClock())


async def test_of_many_that_take_a_note_one_gets_it(notes: SharedNotes) -> None:
    await notes.put("n", b"first", 60)
    await notes.put("n", b"value", 60)
    assert await notes.read("n") == b"value"
    taken = await asyncio.gather(*(notes.take("n") for _ in range(20)))
    assert sorted(taken, key=bool) == [None] * 19 + [b"value"]
    assert await notes.read("n") is None


async def test_a_note_dies_after_its_time(notes: SharedNotes, client: Redis) -> None:
    await notes.put("n", b"value", 60.0)
    left_ms = await client.pttl("voicegate:note:n")
    assert 58_000 < left_ms <= 60_000


async def test_a_token_is_spent_once_and_forgotten_after_its_time(notes: SharedNotes, client: Redis) -> None:
    expires = int((datetime.now(UTC) + timedelta(seconds=30)).timestamp())
    spent = await asyncio.gather(*(notes.spend("t", expires) for _ in range(20)))
    assert sorted(spent) == [False] * 19 + [True]
    left_ms = await client.pttl("voicegate:spent:t")
    assert 80_000 < left_ms <= 91_000, "30 s of its own, and a minute more"


async def test_without_redis_nothing_is_known(notes: SharedNotes, client: Redis) -> None:
    with contextlib.suppress(RedisError):
        await client.shutdown(nosave=True)
    with pytest.raises(StateUnavailable):
        await notes.take("n")
    with pytest.raises(StateUnavailable):
        await notes.spend("t", 2_000_000_000)
