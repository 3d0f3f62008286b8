"""Who may write which column stands in the schema's comments, and the database enforces exactly that."""

import re
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from control_api.db.database import METADATA, Database
from control_api.db.models.agents import Agent

SCHEMA = (Path(__file__).resolve().parents[3] / "prisma" / "schema.prisma").read_text()
MODEL = re.compile(r"((?:^///[^\n]*\n)+)model (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
WRITER = re.compile(r"/// Written by: (\w+)(, once)?")
FIELD_WRITER = re.compile(r"/// Written by: (\w+)\n\s*(\w+)")
SIDES = {"control": "voicegate_control", "system": "voicegate_system", "frontend": "voicegate_frontend"}


def promised() -> dict[tuple[str, str], dict[str, set[str]]]:
    """(table, role) -> privilege -> columns, from the comments."""
    rights: dict[tuple[str, str], dict[str, set[str]]] = {}
    for doc, table, body in MODEL.findall(SCHEMA):
        said = WRITER.search(doc)
        assert said, f"{table} does not say who writes it"
        owner, once = said[1], bool(said[2])
        columns = {column.name for column in METADATA.tables[table].columns}
        fields = {field: writer for writer, field in FIELD_WRITER.findall(body)}
        for side, role in SIDES.items():
            ours = side in ("control", "system")
            mine = owner == side or (owner == "control" and ours)
            entry = rights.setdefault((table, role), {})
            entry["SELECT"] = columns if owner != "system" or side == "system" else set()
            entry["INSERT"] = columns if mine or owner == "both" else set()
            if owner == "both":
                entry["UPDATE"] = {name for name, writer in fields.items() if (writer == "control") == ours}
            else:
                entry["UPDATE"] = columns if mine and not once else set()
            entry["DELETE"] = columns if (mine and not once) or (owner == "both" and not ours) else set()
    return rights


async def granted(url: str) -> dict[tuple[str, str], dict[str, set[str]]]:
    rights: dict[tuple[str, str], dict[str, set[str]]] = {}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for table in METADATA.tables.values():
            for role in SIDES.values():
                entry = rights.setdefault((table.name, role), {})
                for privilege in ("SELECT", "INSERT", "UPDATE"):
                    rows = await connection.execute(
                        "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                        " AND has_column_privilege(%s, attrelid, attnum, %s)",
                        (table.name, role, privilege),
                    )
                    entry[privilege] = {row[0] async for row in rows}
                row = await connection.execute("SELECT has_table_privilege(%s, %s, 'DELETE')", (role, table.name))
                found = await row.fetchone()
                entry["DELETE"] = {column.name for column in table.columns} if found and found[0] else set()
    return rights


async def test_the_grants_are_those_of_the_comments(database_url: str) -> None:
    assert set(METADATA.tables) == {table for table, _ in promised()}
    assert await granted(database_url) == promised()


async def test_every_table_with_an_organization_is_behind_row_level_security(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        rows = await connection.execute("SELECT relname::text FROM pg_class WHERE relrowsecurity")
        guarded = {row[0] async for row in rows}
    personal = {"organizations"} | {
        table.name for table in METADATA.tables.values() if {"organization_id", "user_id"} & set(table.columns.keys())
    }
    assert guarded == personal


async def an_agent(url: str, organization: UUID) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(
            "INSERT INTO agents (organization_id, name, configuration) VALUES (%s, 'A', '{}')", (organization,)
        )


async def test_a_request_sees_its_organization_alone(database: Database, database_url: str) -> None:
    ours, theirs = uuid4(), uuid4()
    await an_agent(database_url, ours)
    await an_agent(database_url, theirs)
    async with database.organization(ours) as session:
        assert [row.organization_id for row in await session.scalars(select(Agent))] == [ours]
        await session.execute(text("UPDATE agents SET name = 'B'"))
    async with database.system() as session:
        names = {row.organization_id: row.name for row in await session.scalars(select(Agent))}
    assert names == {ours: "B", theirs: "A"}


async def test_a_request_cannot_write_for_others(database: Database) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.organization(uuid4()) as session:
            session.add(Agent(organization_id=uuid4(), name="A", configuration={}))


async def test_a_transaction_leaves_nothing_to_the_next_one(database: Database, database_url: str) -> None:
    """The role and the organisation end with their transaction: the connection goes back to the pool without them."""
    await an_agent(database_url, uuid4())
    async with database.organization(uuid4()) as session:
        assert list(await session.scalars(select(Agent))) == []
    async with database.system() as session:
        organization = await session.scalar(text("SELECT organization_of_request()"))
        assert organization is None
        assert len(list(await session.scalars(select(Agent)))) == 1


@pytest.mark.parametrize("table", ["users", "profiles", "payments", "notifications", "credentials", "token_families"])
async def test_a_request_cannot_write_what_is_not_ours(database: Database, table: str) -> None:
    statement = sql.SQL("DELETE FROM {}").format(sql.Identifier(table)).as_string()
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.organization(uuid4()) as session:
            await session.execute(text(statement))
