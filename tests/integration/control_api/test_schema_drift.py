"""Prisma's schema, the committed SQL and SQLAlchemy's models say the same."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from control_api.db.database import METADATA
from control_api.db.migrations import committed, migrate

ROOT = Path(__file__).resolve().parents[3]
PRISMA = ROOT / "prisma"


def differences(connection: Connection) -> list[Any]:
    def compared(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return not (kind == "table" and name == "_prisma_migrations")

    options = {"compare_type": True, "compare_server_default": True, "include_object": compared}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


def drift(url: str) -> list[Any]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with engine.connect() as connection:
            return differences(connection)
    finally:
        engine.dispose()


def prismas_sql() -> str:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    if not (PRISMA / "node_modules").exists():
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(command, cwd=PRISMA, check=False, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            shutil.rmtree(PRISMA / "node_modules", ignore_errors=True)
            pytest.skip(f"npm cannot install Prisma's schema engine: {done.stderr.strip()[-200:]}")
    done = subprocess.run(["node", str(PRISMA / "sql.mjs")], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_migrations_lead_to_the_models(database_url: str) -> None:
    assert drift(database_url) == []


async def test_the_schema_leads_to_the_models(empty_database: str) -> None:
    generated = prismas_sql()
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        await connection.execute(generated.encode())
    assert drift(empty_database) == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE agents ADD COLUMN surprise text",
        "ALTER TABLE agents ALTER COLUMN name TYPE varchar(99)",
        "ALTER TABLE agents ALTER COLUMN revision DROP DEFAULT",
        "ALTER TABLE agents ALTER COLUMN configuration DROP NOT NULL",
        "DROP INDEX conversations_session_id_key",
        "ALTER TABLE conversations DROP CONSTRAINT conversations_agent_id_fkey",
        "CREATE TABLE surprise (id int)",
    ],
)
async def test_any_drift_is_seen(database_url: str, change: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(change.encode())
    assert drift(database_url)


async def test_a_second_run_applies_nothing(database_url: str) -> None:
    assert await migrate(database_url, committed()) == ()
