"""Rate limits: the same answers from Redis and, while it is away, from this process alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from control_api.rate import Limit, Limits
from sessions.config import Config
from sessions.connection import open_client
from voicegate.kernel.clock import SystemClock


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Redis]:
    """A client of a Redis that is not there."""
    client = open_client(f"unix://{tmp_path}/none.sock", Config())
    yield client
    await client.aclose()


async def test_a_burst_and_then_so_many_a_second(away: Redis) -> None:
    clock = Hands()
    limits, limit = Limits(away, clock), Limit(per_s=2, burst=3)
    assert [await limits.take("a", limit) for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
    assert await limits.take("b", limit) == 0, "each bucket for itself"
    clock.now += 0.4
    assert await limits.take("a", limit) == pytest.approx(0.1), "asking too early costs nothing"
    clock.now += 0.1
    assert await limits.take("a", limit) == 0
    assert await limits.take("a", limit) == pytest.approx(0.5)
    clock.now += 100
    assert [bool(await limits.take("a", limit)) for _ in range(4)] == [False, False, False, True]
    await limits.forget("a")
    assert await limits.take("a", limit) == 0


async def test_what_is_counted_here_does_not_grow_without_end(away: Redis) -> None:
    clock = Hands()
    limits, limit = Limits(away, clock), Limit(per_s=1_000, burst=1)
    for number in range(10_001):
        clock.now += 0.002  # a bucket is forgotten after 1 ms; Redis is asked again every few seconds
        await limits.take(f"bucket {number}", limit)
    assert len(limits._due_ms) < 10


async def test_redis_counts_for_all(shared_redis_url: str) -> None:
    bucket, limit = uuid4().hex, Limit(per_s=1, burst=5)
    async with Redis.from_url(shared_redis_url, protocol=2) as first, Redis.from_url(shared_redis_url) as second:
        processes = [Limits(first, SystemClock()), Limits(second, SystemClock())]
        waits = await asyncio.gather(*(processes[number % 2].take(bucket, limit) for number in range(12)))
        assert sum(wait == 0 for wait in waits) == 5
        assert all(0 < wait <= 1 for wait in waits if wait)
        assert 0 < await first.pttl(f"voicegate:rate:{bucket}") <= 5_001, "it goes away by itself"
        await processes[0].forget(bucket)
        assert await processes[1].take(bucket, limit) == 0


async def test_slow_limits_are_exact_too(shared_redis_url: str) -> None:
    """One a minute: the numbers that go to Lua have more digits than its own formatting keeps."""
    async with Redis.from_url(shared_redis_url, protocol=2) as client:
        limits, limit, bucket = Limits(client, SystemClock()), Limit(per_s=1 / 60, burst=2), uuid4().hex
        waits = [await limits.take(bucket, limit) for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert 55 < waits[2] <= 60
