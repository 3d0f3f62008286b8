"""No operation reads a table that grows from end to end, or all that an organisation has in one.

Every operation of the OpenAPI document is called on a filled database, as the table of the tenant wall says; lists are
called with each of their filters, and for their second page.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import select

from benchmarks.filled_database import LEAST, Filled, fill
from control_api.db.database import METADATA
from control_api.db.models.conversations import Conversation
from tests.integration.control_api.api import World, running_world
from tests.integration.control_api.conftest import a_database
from tests.integration.control_api.plans import Plans, watched
from tests.integration.control_api.test_schemathesis import PLENTY
from tests.integration.control_api.test_tenant_wall import ALL, GUARDED, PUBLIC, ROWS, Things, call, make_things, where

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONVERSATIONS = 5_000
SMALL = frozenset({"ledger_accounts"})
"""A few rows for each organisation."""
IN_BULK = frozenset({"analytics.export"})


@dataclass(frozen=True, slots=True)
class Filling:
    world: World
    filled: Filled
    plans: Plans
    new: Things
    """Made just now."""
    old: Things
    """As those, but with many rows behind them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filling(postgres_url: str, template: str, shared_redis_url: str) -> AsyncIterator[Filling]:
    """A world with a year's rows, and statements explained."""
    async with Redis.from_url(shared_redis_url, protocol=2) as client:
        await client.flushdb()
    async with (
        a_database(postgres_url, template) as url,
        running_world(url, shared_redis_url, requests=PLENTY, strangers=PLENTY) as world,
    ):
        filled = await fill(url, CONVERSATIONS, world.ours.id, world.theirs.id)
        plans = Plans(frozenset(METADATA.tables) - SMALL, LEAST // 2, IN_BULK)
        with watched(plans):
            new = await make_things(world, world.ours)
            yield Filling(world, filled, plans, new, replace(new, ids={**new.ids, **old_ids(filled, new)}))


def old_ids(filled: Filled, things: Things) -> dict[str, str]:
    """Of filled rows, for path parameters that are named for a table."""
    return {name: str(filled.id_of(filled.places[name], 1)) for name in things.ids if name in filled.places}


def variations(name: str, things: Things) -> list[str]:
    """Queries: each parameter with each of its values."""
    queries = [""]
    for parameter in ALL[name].get("parameters", ()):
        if parameter["in"] == "query":
            queries += [f"?{parameter['name']}={value}" for value in values(parameter, things)]
    return queries


def values(parameter: dict[str, Any], things: Things) -> list[str]:
    schema = parameter["schema"]
    choices: list[str] = []
    for each in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        choices += [str(value) for value in each.get("enum", ())]
    if parameter["name"] in things.ids:
        choices.append(things.ids[parameter["name"]])
    if parameter["name"] == "limit":
        choices.append("100")
    return choices


async def read(filling: Filling, name: str, things: Things) -> None:
    """A GET with all its variations; of a list also the second page."""
    owner, (method, path) = filling.world.user(), where(name)
    for parameter, value in things.ids.items():
        path = path.replace(f"{{{parameter}}}", value)
    for query in dict.fromkeys([ROWS[name].query(things), *variations(name, things)]):
        got = await owner(method, path + query, headers=ROWS[name].headers)
        assert got.status < 500, f"{name}{query}: {got.data!r}"
        if got.status == 200 and got.headers["Content-Type"] == "application/json" and isinstance(got.body, dict):
            following = got.body.get("nextCursor")
            if following:
                await owner(method, f"{path}{query}{'&' if query else '?'}cursor={following}")


def is_stream(name: str) -> bool:
    """It may never end, but for how the tenant wall calls it."""
    return "text/event-stream" in ALL[name]["responses"].get("200", {}).get("content", {})


def no_faults(plans: Plans, operation: str) -> None:
    if found := plans.faults.get(operation):
        pytest.fail("\n".join(found), pytrace=False)


async def test_the_database_is_full(filling: Filling) -> None:
    """Also of tables that were added since; the planner would take small ones whole, and rightly."""
    async with await psycopg.AsyncConnection.connect(filling.world.owner_url) as connection:
        for table in sorted(filling.plans.growing):
            cursor = await connection.execute(f"SELECT count(*) FROM {table}".encode())
            row = await cursor.fetchone()
            assert row is not None
            assert row[0] >= LEAST, table


async def test_every_reference_has_an_index(filling: Filling) -> None:
    """Else deleting or changing what is referred to reads all that refers."""
    statement = """
        SELECT conrelid::regclass || '.' || conname FROM pg_constraint
        WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND indpred IS NULL AND indkey[0] = ANY (conkey))"""
    async with await psycopg.AsyncConnection.connect(filling.world.owner_url) as connection:
        assert await (await connection.execute(statement)).fetchall() == []


@pytest.mark.parametrize("name", sorted({*GUARDED, *PUBLIC}))
async def test_every_statement_has_an_index(filling: Filling, name: str) -> None:
    plans = filling.plans
    plans.operation = name
    if name in PUBLIC:
        (method, path), (body, _) = where(name), PUBLIC[name]
        await filling.world.anybody()(method, path, body)
    elif where(name)[0] == "GET" and not is_stream(name):
        await read(filling, name, filling.new)
        await read(filling, name, filling.old)
    else:
        things = await make_things(filling.world, filling.world.ours) if ROWS[name].uses_up else filling.new
        plans.operation = name
        got = await call(filling.world.user(), name, things)
        assert got.status in (ROWS[name].refused or 200, 201, 202, 204), got.data
    no_faults(plans, name)


async def test_a_statement_without_an_index_is_found(filling: Filling) -> None:
    """And one that reads all that an organisation has, though by an index."""
    plans, ours = filling.plans, filling.world.ours.id
    plans.operation = "the test's own"
    by_phone = select(Conversation.id).where(Conversation.client_phone == "+15550000001")
    count = select(Conversation.id).where(Conversation.organization_id == ours).order_by(Conversation.started_at)
    async with filling.world.parts.database.organization(ours) as session:
        await session.execute(by_phone)
        await session.execute(count)
    first, second = plans.faults[plans.operation]
    assert "conversations" in first
    assert "conversations" in second


async def test_statements_were_seen(filling: Filling) -> None:
    assert filling.plans.seen > 5 * len(GUARDED)
    no_faults(filling.plans, "")  # neither in the background
