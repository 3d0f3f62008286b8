"""A database as it is after a year: every table of the control API filled, most of it with one organisation's rows.

The rows are made by the server itself (``INSERT ... SELECT`` from ``generate_series``), from nothing but the models, so
that a table which is added later is filled too. Row ``n`` of a table has the id ``md5('<table>:' || n)``; a reference
finds its row by the same rule. Every fifth row belongs to another organisation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, Enum, Float, Integer, LargeBinary, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from control_api.db.database import METADATA

LEAST = 2_000
"""Rows of a table that has no measure of its own: enough that the planner prefers an index to reading all."""
BUSY_AGENTS = 20
"""All calls are of these, the first rows of ``agents``."""

_PER_CONVERSATION = {
    "conversations": 1.0,
    "conversation_turns": 10.0,
    "credit_holds": 1.0,
    "hold_usage": 4.0,
    "ledger_transfers": 2.0,
    "ledger_entries": 4.0,
    "usage_days": 0.2,
    "agent_runs": 0.2,
    "audit_log": 0.5,
    "outbox": 0.2,
    "idempotency_keys": 0.2,
}
_PARENTS = {"agent_id": "agents", "conversation_id": "conversations", "hold_id": "credit_holds", "user_id": "users"}
"""References that are none to the database."""
_OWN = frozenset({"ledger_accounts"})
"""Made by the product itself, a few for each organisation."""
_WORDS = "'the caller asked about ' || (n % 97) || ' and was told what there is to be told about it, number ' || n"
_CONFIGURATION = """'{"greeting": "Hello.", "knowledge": [{"topic": "hours", "text": "We open at nine."}]}'::jsonb"""
_SPECIAL: Mapping[str, str] = {
    "conversations.status": "CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'ended' END::conversation_status",
    "conversations.ended_at": "{at} + interval '90 seconds'",
    "conversations.client_phone": "'+1555' || lpad(n::text, 7, '0')",
    "conversations.turns_count": "10",
    "conversations.last_seq": "200",
    "conversations.tags": "ARRAY['tag ' || (n % 10)]",
    "conversation_turns.user_text": _WORDS,
    "conversation_turns.agent_text": _WORDS,
    "conversation_turns.agent_generated": _WORDS,
    "conversation_turns.agent_state": "'finished'::turn_state",
    "conversation_turns.tools": "'[]'::jsonb",
    "credit_holds.state": "'settled'::hold_state",
    "ledger_accounts.balance_micro": "0",
    "outbox.delivered_at": "{at}",
    "outbox.topic": "'agent'",
    "agents.status": "'draft'::agent_status",
    "agents.configuration": _CONFIGURATION,
    "agent_versions.configuration": "jsonb_build_object('name', 'Agent', 'configuration', " + _CONFIGURATION + ")",
    "agents.published_version": "NULL::int",
    "tools.name": "'tool_' || n",
    "tools.configuration": """'{"url": "https://10.0.0.1/", "secrets": {}}'::jsonb""",
    "users.role": "'agent'::user_role",
    "agent_runs.status": "'succeeded'::run_status",
    "agent_runs.output": "NULL::jsonb",
    "api_keys.revoked_at": "NULL::timestamptz",
    "token_families.revoked_at": "NULL::timestamptz",
    "token_families.expires_at": "now() + interval '30 days'",
    "usage_days.stage": "(ARRAY['stt', 'agent', 'tts'])[n % 3 + 1]",
    "usage_days.provider": "(ARRAY['moonshine', 'local', 'flite'])[n % 3 + 1]",
    "hold_usage.stage": "(ARRAY['stt', 'agent', 'tts'])[n % 3 + 1]",
    "hold_usage.cost_micro": "n % 1000",
    "ledger_entries.amount_micro": "0",
}


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in it."""

    rows: Mapping[str, int]
    """Of each table."""

    @property
    def places(self) -> Mapping[str, str]:
        """Parameters of paths, and the tables whose ids they are: ``agentId`` is one of ``agents``."""
        named = {_camel(name.removesuffix("s")) + "Id": name for name in self.rows if name != "organizations"}
        return {**named, "keyId": "api_keys", "runId": "agent_runs", "holdId": "credit_holds"}

    def id_of(self, table: str, number: int) -> UUID:
        """Of a row, counted from 1. Multiples of five are another organisation's."""
        return UUID(md5(f"{table}:{number}".encode(), usedforsecurity=False).hexdigest())


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)


async def fill(url: str, conversations: int, ours: UUID, theirs: UUID) -> Filled:
    """Fill a migrated database. ``url`` is its owner's; ``conversations``: of both organisations together."""
    rows = {table.name: _rows(table.name, conversations) for table in METADATA.sorted_tables if table.name not in _OWN}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        # References are right by construction; the ledger's trigger would look at each transfer.
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table in METADATA.sorted_tables:
            if table.name in rows:
                await connection.execute(
                    _statement(table, rows, f"(ARRAY['{theirs}', '{ours}'])[sign(n % 5)::int + 1]::uuid")
                )
                await _past(connection, table)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("VACUUM (ANALYZE)")
    return Filled(rows)


def _rows(name: str, conversations: int) -> int:
    return max(LEAST, round(_PER_CONVERSATION.get(name, 0.0) * conversations))


def _statement(table: Table, rows: Mapping[str, int], organization: str) -> sql.Composed:
    values = [
        sql.SQL(organization if column.name == "organization_id" else _value(column, table.name, rows))
        for column in table.columns
    ]
    return sql.SQL(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM generate_series(1, {}) n ON CONFLICT DO NOTHING"
    ).format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
        sql.SQL(", ").join(values),
        sql.Literal(rows[table.name]),
    )


async def _past(connection: psycopg.AsyncConnection, table: Table) -> None:
    """A counter that goes on after the rows."""
    for column in table.primary_key:
        if isinstance(column.type, Integer) and len(table.primary_key) == 1:
            await connection.execute(
                sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), (SELECT max({}) FROM {}))").format(
                    table.name, column.name, sql.Identifier(column.name), sql.Identifier(table.name)
                )
            )


def _value(column: Column[Any], table: str, rows: Mapping[str, int]) -> str:
    at = _at(table, rows)
    special = _SPECIAL.get(f"{table}.{column.name}")
    if special is not None:
        return special.replace("{at}", at)
    if isinstance(column.type, Uuid):
        return _reference(column, table, rows)
    if column.primary_key and isinstance(column.type, Integer) and (parent := _first_parent(table, rows)):
        return f"(n - 1) / {_used(parent, rows)} + 1"
    return _plain(column, table, at)


def _first_parent(table: str, rows: Mapping[str, int]) -> str | None:
    """The table whose rows this one counts within."""
    keys = METADATA.tables[table].primary_key.columns
    return next((parent for key in keys if (parent := _parent(key)) in rows), None)


def _parent(column: Column[Any]) -> str | None:
    for key in column.foreign_keys:
        return key.column.table.name
    return _PARENTS.get(column.name)


def _reference(column: Column[Any], table: str, rows: Mapping[str, int]) -> str:
    parent = _parent(column)
    if parent is None or parent not in rows:
        return f"md5('{table}:' || n)::uuid" if not column.nullable else "NULL::uuid"
    alone = column.primary_key and len(METADATA.tables[table].primary_key) == 1
    count = rows[parent] if alone else _used(parent, rows)
    return f"md5('{parent}:' || ((n - 1) % {count} + 1))::uuid"


def _used(parent: str, rows: Mapping[str, int]) -> int:
    """How many of its rows are referred to by others."""
    return BUSY_AGENTS if parent == "agents" else rows[parent]


def _at(table: str, rows: Mapping[str, int]) -> str:
    """Evenly over the year until now; what belongs to a conversation or a hold has its time."""
    parent = _first_parent(table, rows)
    count, number = (rows[parent], f"((n - 1) % {rows[parent]} + 1)") if parent else (rows[table], "n")
    return f"now() - interval '1 year' * (1 - {number}::float / {count})"


def _plain(column: Column[Any], table: str, at: str) -> str:
    match column.type:
        case Enum(enums=names):
            return f"'{names[0]}'::{column.type.name}"
        case JSONB():
            return "'{}'::jsonb"
        case ARRAY():
            return "'{}'"
        case String(length=length):
            return (
                f"left('{column.name} ' || n, {length or 100})" if (length or 100) > 20 else f"left(n::text, {length})"
            )
        case Boolean():
            return "n % 2 = 0"
        case DateTime():
            return at
        case Date():
            return f"({at})::date"
        case LargeBinary():
            return "decode(md5(n::text), 'hex')"
        case Integer():
            return "n" if column.primary_key else "n % 1000"
        case Float():
            return "100 + n % 900"
    raise TypeError(f"{table}.{column.name}: what does a {column.type} hold?")
