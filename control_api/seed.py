"""The first start: an organisation, its owner, and an agent to call. Only an empty database is given them."""

import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg

from control_api.agents.configuration import AgentConfiguration
from control_api.db.address import plain_address
from control_api.identity.passwords import Passwords

_ORGANIZATION = "Demo"
_AGENT = "Willow and Finch"


@dataclass(frozen=True, slots=True)
class Admin:
    """Who was made at the first start."""

    email: str
    password: str
    """The one that was made up for him; empty where it was given."""


async def seed(url: str, email: str, password: str, passwords: Passwords) -> Admin | None:
    """Fill an empty database; None if anybody is in it. ``password`` may be empty: one is made.

    ``url`` must be that of the tables' owner: users are the frontend's, and no role of ours may write them.
    """
    made = "" if password else secrets.token_urlsafe(12)
    admin = Admin(email.strip().lower(), made)
    hashed = await passwords.hash(password or made)
    async with await psycopg.AsyncConnection.connect(plain_address(url)) as connection:
        # Two processes may start at once.
        await connection.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
        found = await connection.execute("SELECT EXISTS (SELECT FROM users)")
        row = await found.fetchone()
        if row is None or row[0]:
            return None
        await _fill(connection, admin.email, hashed)
    return admin


async def _fill(connection: psycopg.AsyncConnection[Any], email: str, password_hash: str) -> None:
    organization, user, agent = uuid4(), uuid4(), uuid4()
    configuration = AgentConfiguration(preset="estate-agency").model_dump()
    draft, version = json.dumps(configuration), json.dumps({"name": _AGENT, "configuration": configuration})
    rows: list[tuple[str, tuple[object, ...]]] = [
        ("organizations (id, name)", (organization, _ORGANIZATION)),
        ("users (id, email, organization_id, role)", (user, email, organization, "owner")),
        ("profiles (user_id, display_name)", (user, "Admin")),
        ("credentials (user_id, password_hash)", (user, password_hash)),
        (
            "agents (id, organization_id, name, status, configuration, published_version, created_by)",
            (agent, organization, _AGENT, "published", draft, 1, user),
        ),
        (
            "agent_versions (agent_id, version, organization_id, configuration, note, created_by)",
            (agent, 1, organization, version, "first start", user),
        ),
    ]
    for columns, values in rows:
        places = ", ".join(["%s"] * len(values))
        await connection.execute(f"INSERT INTO {columns} VALUES ({places})".encode(), values)  # noqa: S608


async def set_password(url: str, email: str, password: str, passwords: Passwords) -> bool:
    """Give a user a password for our own issuer. False: there is no such user."""
    hashed = await passwords.hash(password)
    async with await psycopg.AsyncConnection.connect(plain_address(url)) as connection:
        changed = await connection.execute(
            "INSERT INTO credentials (user_id, password_hash) SELECT id, %s FROM users WHERE email = %s "
            "ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, updated_at = now()",
            (hashed, email.strip().lower()),
        )
        await connection.execute(
            "UPDATE token_families SET revoked_at = now(), revoked_for = 'password' "
            "FROM users WHERE users.id = user_id AND email = %s AND revoked_at IS NULL",
            (email.strip().lower(),),
        )
        return changed.rowcount == 1


async def oldest_organization(url: str) -> UUID | None:
    """The organisation that was there first."""
    async with await psycopg.AsyncConnection.connect(plain_address(url)) as connection:
        found = await connection.execute("SELECT id FROM organizations ORDER BY created_at, id LIMIT 1")
        row = await found.fetchone()
        return row[0] if row else None
