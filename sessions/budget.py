"""What calls may cost, in Redis: the control API writes it, the gateway acts on it.

A budget says what a call may cost in all, from its beginning, and what things cost: the gateway adds up the call's own
usage. So it does not matter how far the ledger has come, and a top-up is a higher limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import msgspec
from redis.asyncio import Redis

from sessions.connection import state_errors
from sessions.keys import available_key, budget_key, missing_key, session_keys, spent_key
from sessions.model import from_ms

AVAILABLE_S = 60
"""How long an organisation's availability stands without being said again: no new call is paid for by a ledger that has
been silent for longer."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one call may cost. Fields may be added with a default, never taken away."""

    organization_id: str
    limit_micro: int
    """In all, from the call's beginning."""
    warn_micro: int
    """The caller is warned when no more than this is left ..."""
    end_micro: int
    """... and the call ends when no more than this is left: it pays for saying goodbye."""
    prices: dict[str, int]
    """As :mod:`sessions.prices` has them."""
    warning: str = ""
    farewell: str = ""
    """What the agent says then."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What Redis knows of a session."""

    held: bool
    """Its lease has not run out."""
    created_at: datetime | None
    """When its call began; None: there is no record of one."""
    agent: str
    token_spent: bool
    """The session's token was used in the last minutes."""


class BudgetShelf:
    """Every method raises :class:`~voicegate.kernel.errors.StateUnavailable` if Redis is away."""

    def __init__(self, client: Redis, retention_s: float) -> None:
        self._client, self._retention_ms = client, max(1, round(retention_s * 1000))

    async def put(self, budgets: Mapping[str, Budget]) -> None:
        """By session id. What was there is replaced."""
        if not budgets:
            return
        with state_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for session_id, budget in budgets.items():
                    pipe.set(budget_key(session_id), msgspec.json.encode(budget), px=self._retention_ms)
                await pipe.execute()

    async def take(self, session_id: str) -> Budget | None:
        """None: the call has none (yet)."""
        with state_errors():
            found = cast(bytes | None, await self._client.get(budget_key(session_id)))
        return msgspec.json.decode(found, type=Budget) if found else None

    async def remove(self, session_ids: Sequence[str]) -> None:
        """Their calls are over: a new one under the same id gets its own."""
        if session_ids:
            with state_errors():
                await self._client.delete(*(budget_key(each) for each in session_ids))

    async def put_available(self, available: Mapping[str, int]) -> None:
        """By organisation: micro-credits that its next call may begin with."""
        if not available:
            return
        with state_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for organization_id, micro in available.items():
                    pipe.set(available_key(organization_id), micro, ex=AVAILABLE_S)
                await pipe.execute()

    async def available(self, organization_id: str) -> int | None:
        """None: nobody has said so lately."""
        with state_errors():
            found = cast(bytes | None, await self._client.get(available_key(organization_id)))
        return int(found) if found is not None else None

    async def traces(self, sessions: Sequence[tuple[str, str]]) -> list[Trace]:
        """What there is of each session, given as its id and the id of its token."""
        if not sessions:
            return []
        with state_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for session_id, token_id in sessions:
                    keys = session_keys(session_id)
                    pipe.exists(keys.lease)
                    pipe.hmget(keys.session, "created_ms", "agent")
                    pipe.exists(spent_key(token_id))
                found = await pipe.execute()
        triples = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [_trace(held, fields, spent) for held, fields, spent in triples]

    async def missing_s(self, names: Sequence[str], noted_s: float) -> list[float]:
        """How long ago each was called missing for the first time, by whatever process. It is remembered for
        ``noted_s`` from then on."""
        if not names:
            return []
        noted_ms = round(noted_s * 1000)
        with state_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.set(missing_key(name), b"", nx=True, px=noted_ms)
                    pipe.pttl(missing_key(name))
                left_ms = (await pipe.execute())[1::2]
        return [max(0, noted_ms - left) / 1000 for left in left_ms]


def _trace(held: int, fields: Sequence[bytes | None], spent: int) -> Trace:
    created_ms, agent = fields
    created_at = from_ms(int(created_ms)) if created_ms is not None else None
    return Trace(bool(held), created_at, (agent or b"").decode(), bool(spent))
