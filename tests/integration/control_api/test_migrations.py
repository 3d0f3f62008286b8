"""The runner: all or nothing, once, never two at a time, and clear about what went wrong."""

import asyncio

import psycopg
import pytest

from control_api.db.migrations import Migration, committed, migrate
from voicegate.kernel.errors import ConfigError

FIRST = Migration("1_first", "CREATE TABLE one (id int); INSERT INTO one VALUES (1);")
BROKEN = Migration(
    "2_broken", "CREATE TABLE two (id int); INSERT INTO nowhere VALUES (1); CREATE TABLE three (id int);"
)
MENDED = Migration("2_broken", "CREATE TABLE two (id int);")


async def tables(url: str) -> set[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row[0] async for row in rows}


async def test_a_failure_is_rolled_back_and_says_so(empty_database: str) -> None:
    with pytest.raises(ConfigError, match=r'2_broken failed and was rolled back.*"nowhere" does not exist'):
        await migrate(empty_database, (FIRST, BROKEN))
    assert await tables(empty_database) == {"_prisma_migrations", "one"}
    assert await migrate(empty_database, (FIRST, MENDED)) == ("2_broken",)
    assert "two" in await tables(empty_database)


async def test_what_was_applied_must_not_change(empty_database: str) -> None:
    await migrate(empty_database, (FIRST,))
    with pytest.raises(ConfigError, match="1_first was changed"):
        await migrate(empty_database, (Migration("1_first", FIRST.sql + " "),))


async def test_many_at_once_apply_everything_once(empty_database: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_database, (FIRST, MENDED)) for _ in range(5)))
    assert sorted(name for each in applied for name in each) == ["1_first", "2_broken"]


async def test_a_database_of_a_newer_version_is_left_alone(empty_database: str) -> None:
    await migrate(empty_database, (FIRST, MENDED))
    assert await migrate(empty_database, (FIRST,)) == ()


async def test_what_prisma_notes_is_noted(empty_database: str) -> None:
    await migrate(empty_database, committed())
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        rows = await connection.execute(
            "SELECT migration_name, checksum, finished_at IS NOT NULL, applied_steps_count FROM _prisma_migrations"
            " ORDER BY 1"
        )
        found = [row async for row in rows]
    assert found == [(each.name, each.checksum, True, 1) for each in committed()]
    assert len(found[0][1]) == 64


async def test_a_database_that_is_away_is_named() -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        await migrate("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2", (FIRST,))
