"""What Redis and the database have of calls, compared with what their clients were told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks.rolling_callers import Caller
from benchmarks.rolling_record import judge
from control_api.conversations.story import told
from sessions.keys import session_keys
from voicegate.kernel.events import decode

CATCH_UP_S = 30.0
_TIMEOUT_S = 2
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Judged:
    """All calls together."""

    calls: int
    events: int
    turns: int
    dropped: int
    how: tuple[str, ...]
    """Each dropped call: its kind, why it ended, and how often it connected."""
    missing: int
    gaps: int
    different: int

    @property
    def well(self) -> bool:
        return not (self.dropped or self.missing or self.gaps or self.different)


@dataclass(frozen=True, slots=True)
class Records:
    """Where calls are kept."""

    redis_url: str
    database_url: str

    def redis(self) -> Redis:
        return Redis.from_url(self.redis_url, protocol=2, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)

    async def have(self, told_seqs: Mapping[str, int]) -> bool:
        """Whether both have every call's events up to these numbers."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                stored = {name: row["last_seq"] for name, row in (await self.conversations(list(told_seqs))).items()}
                async with self.redis() as redis:
                    in_redis = {name: await redis.hget(session_keys(name).session, "seq") for name in told_seqs}
        except (psycopg.Error, RedisError, OSError, TimeoutError):
            return False
        return all(
            (stored.get(name) or 0) >= seq and int(in_redis[name] or 0) >= seq for name, seq in told_seqs.items()
        )

    async def conversations(self, session_ids: list[str]) -> dict[str, DictRow]:
        rows = await self._rows("SELECT * FROM conversations WHERE session_id = ANY(%s)", session_ids)
        return {row["session_id"]: row for row in rows}

    async def turns(self, conversation_id: object) -> list[DictRow]:
        wanted = "SELECT * FROM conversation_turns WHERE conversation_id = %s ORDER BY turn"
        return await self._rows(wanted, conversation_id)

    async def _rows(self, statement: str, value: object) -> list[DictRow]:
        async with await psycopg.AsyncConnection.connect(
            self.database_url, connect_timeout=_TIMEOUT_S, row_factory=dict_row
        ) as connection:
            return await (await connection.execute(statement.encode(), (value,))).fetchall()


async def judge_all(callers: list[Caller], records: Records) -> Judged:
    """Everybody has hung up: compare, once the database has the ends too."""
    session_ids = [caller.session_id for caller in callers]
    async with asyncio.timeout(CATCH_UP_S):
        while not await _all_over(records, session_ids):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(_LOOK_S)
    rows = await records.conversations(session_ids)
    missing = gaps = different = turns = 0
    async with records.redis() as redis:
        for caller in callers:
            found = await judge(caller, redis)
            missing, gaps = missing + found.missing, gaps + found.gaps
            row = rows[caller.session_id]
            stored = await records.turns(row["id"])
            turns += len(stored)
            different += differences(caller, row, stored)
    how = tuple(
        f"{caller.kind} {caller.ended or 'open'} {caller.connections}"
        for caller in callers
        if caller.ended not in ("", "client") or caller.connections != 1
    )
    events = sum(len(caller.seqs) for caller in callers)
    return Judged(len(callers), events, turns, len(how), how, missing, gaps, different)


async def _all_over(records: Records, session_ids: list[str]) -> bool:
    rows = await records.conversations(session_ids)
    return len(rows) == len(session_ids) and all(row["status"] == "ended" for row in rows.values())


def differences(caller: Caller, row: Mapping[str, Any], stored: list[DictRow]) -> int:
    """Turns, the transcript and the end, where they are not as the events that the client got tell them."""
    story = told(decode(text) for text in caller.texts)
    wanted = {turn["turn"]: turn for turn in story.changed_turns()}
    found = {turn["turn"]: turn for turn in stored}
    count = sum(
        any(found.get(number, {}).get(name) != value for name, value in wanted.get(number, {"turn": 0}).items())
        for number in wanted.keys() | found.keys()
    )
    return count + int(row["transcript"] != story.lines()) + int(row["last_seq"] < story.last_seq)
