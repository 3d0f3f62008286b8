"""Answers that are kept in Redis: whose they are, how long, how many; and that they are gone when they must be."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from control_api.degradation.answers import MOST_BYTES, UNCHANGED_S, Answers, Asked, digest_of
from control_api.degradation.behind import WriteBehind
from control_api.degradation.breaker import Breaker
from sessions.config import Config
from sessions.connection import open_client
from sessions.keys import ANSWER_PREFIX, ANSWER_SIZES, ANSWERS
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import StateUnavailable


class Hands:
    """A clock whose monotonic side is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime.now(UTC)


class Keeping:
    """Answers, and what writes them."""

    def __init__(self, client: Redis, life_s: float = 60.0, most_bytes: int = MOST_BYTES) -> None:
        self.client, self.clock = client, Hands()
        self.breaker = Breaker(SystemClock())
        self.behind = WriteBehind(client, self.breaker)
        self.answers = Answers(client, self.breaker, self.behind, self.clock, life_s, most_bytes)

    async def keep(self, asked: Asked, body: bytes) -> None:
        self.answers.keep(asked, "application/json", '"r1"', body)
        await self.behind.flush()

    async def found(self, asked: Asked) -> bytes | None:
        kept = await self.answers.find(asked)
        return kept.body if kept else None


@pytest.fixture
async def client(shared_redis_url: str) -> AsyncIterator[Redis]:
    opened = open_client(shared_redis_url, Config())
    await opened.flushdb()
    yield opened
    await opened.aclose()


def asked(name: str = "a", organization: UUID | None = None, ago_s: float = 0.0) -> Asked:
    return Asked(organization or uuid4(), name, datetime.now(UTC) - timedelta(seconds=ago_s))


def test_a_question_is_known_by_all_that_its_answer_depends_on() -> None:
    mine = digest_of("/agents", "limit=2&status=draft", {"a", "b"})
    assert digest_of("/agents", "status=draft&limit=2", ["b", "a"]) == mine
    others = [
        digest_of("/agents/", "limit=2&status=draft", {"a", "b"}),
        digest_of("/agents", "limit=2", {"a", "b"}),
        digest_of("/agents", "limit=2&status=draft&q=", {"a", "b"}),
        digest_of("/agents", "limit=2&status=draft", {"a"}),
        digest_of("/agents", "limit=2&status=draft", {"a b"}, "user:1"),
        digest_of("/agents", "limit=2&status=draft", {"a", "b"}, "user:2"),
    ]
    assert len({mine, *others}) == 1 + len(others)


async def test_what_was_kept_is_found_by_its_organisation_alone(client: Redis) -> None:
    keeping, mine = Keeping(client), asked()
    await keeping.keep(mine, b"{}")
    kept = await keeping.answers.find(mine)
    assert kept is not None
    assert (kept.body, kept.content_type, kept.etag, kept.at) == (b"{}", "application/json", '"r1"', mine.at)
    assert await keeping.found(asked()) is None, "another organisation"
    assert await keeping.found(asked("b", mine.organization_id)) is None
    assert 0 < await client.pttl(ANSWER_PREFIX + mine.member) <= 60_000
    assert 0 < await client.pttl(ANSWERS) <= 120_000


async def test_an_answer_that_stays_the_same_is_not_written_each_time(client: Redis) -> None:
    keeping, mine = Keeping(client), asked()
    await keeping.keep(mine, b"one")
    await client.delete(ANSWER_PREFIX + mine.member)
    await keeping.keep(mine, b"one")
    assert await keeping.found(mine) is None
    await keeping.keep(mine, b"two")
    assert await keeping.found(mine) == b"two", "a new one is, at once"
    await client.delete(ANSWER_PREFIX + mine.member)
    keeping.clock.now += UNCHANGED_S
    await keeping.keep(mine, b"two")
    assert await keeping.found(mine) == b"two", "and the same one after a while, so that its age is right"


async def test_all_together_are_bounded_and_the_oldest_go_first(client: Redis) -> None:
    keeping, whose = Keeping(client, most_bytes=10_000), uuid4()
    for number in range(20):
        await keeping.keep(asked(f"{number:02}", whose), bytes(900))
    left = [each[-2:].decode() for each in cast(list[bytes], await client.zrange(ANSWERS, 0, -1))]
    assert left == [f"{number:02}" for number in range(20 - len(left), 20)]
    assert 8 <= len(left) <= 11
    assert len([key async for key in client.scan_iter(match=f"{ANSWER_PREFIX}*")]) == len(left)
    sizes = {name: int(size) for name, size in (await client.hgetall(ANSWER_SIZES)).items()}
    assert sizes.pop(b"") == sum(sizes.values()) <= 10_000
    await keeping.keep(asked("19", whose), bytes(100))
    total = int(await client.hget(ANSWER_SIZES, "") or 0)
    assert sum(sizes.values()) - 810 < total < sum(sizes.values()) - 790, "a shorter one takes its place"


async def test_what_is_forgotten_stays_forgotten(client: Redis) -> None:
    keeping, mine = Keeping(client), asked(ago_s=1)
    theirs, waiting = asked(), asked("c", mine.organization_id, ago_s=1)
    await keeping.keep(mine, b"erased")
    await keeping.keep(theirs, b"theirs")
    keeping.answers.keep(waiting, "application/json", "", b"erased")
    await keeping.answers.forget(mine.organization_id)
    await keeping.behind.flush()
    assert [await keeping.found(each) for each in (mine, waiting, theirs)] == [None, None, b"theirs"]
    assert await client.zcard(ANSWERS) == 1

    other_process = Keeping(client)
    await other_process.keep(mine, b"erased")
    assert await keeping.found(mine) is None, "its request began before"
    later = Asked(mine.organization_id, mine.digest, datetime.now(UTC) + timedelta(seconds=3))
    await other_process.keep(later, b"new")
    assert await keeping.found(mine) == b"new"


async def test_nothing_is_kept_where_it_is_not_wanted(client: Redis) -> None:
    keeping, mine = Keeping(client, life_s=0.0), asked()
    await keeping.keep(mine, b"{}")
    assert await client.dbsize() == 0
    assert await keeping.found(mine) is None


async def test_a_redis_that_is_away_costs_nothing_but_the_answers(tmp_path: object) -> None:
    away = open_client(f"unix://{tmp_path}/none.sock", Config())
    keeping, mine = Keeping(away), asked()
    await keeping.keep(mine, b"{}")
    assert keeping.breaker.is_open
    assert await keeping.found(mine) is None
    with pytest.raises(StateUnavailable):
        await keeping.answers.forget(mine.organization_id)
    await away.aclose()


async def test_what_waits_is_bounded(client: Redis) -> None:
    keeping, whose = Keeping(client), uuid4()
    for number in range(100):
        keeping.answers.keep(asked(str(number), whose), "text/plain", "", bytes([number]) * 128 * 1024)
    await keeping.behind.flush()
    assert 50 < await client.zcard(ANSWERS) < 70
