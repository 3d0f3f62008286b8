"""Applies the committed SQL of ``prisma/migrations``: each file in one transaction, noted where Prisma notes it too.

Old programs must go on working while a new one migrates, so a migration only adds (expand); what is not used any more
is taken away in a later release (contract). A database that knows more migrations than we do is fine for that reason.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import structlog

from control_api.db.address import plain_address
from voicegate.kernel.errors import ConfigError

_LOCK = 0x766F6963  # any number that nobody else takes
_TABLE: LiteralString = """
CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0
)"""
"""As Prisma's own ``migrate deploy`` makes it, so that either may follow the other."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, as Prisma computes it."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def committed(folder: Path | None = None) -> tuple[Migration, ...]:
    """The migrations of ``folder`` (default: ours), oldest first."""
    found = sorted((folder or _folder()).glob("*/migration.sql"))
    return tuple(Migration(file.parent.name, file.read_text(encoding="utf-8")) for file in found)


def _folder() -> Path:
    """In the wheel they lie beside this module, in a checkout at their place for Prisma."""
    packaged = Path(__file__).parent / "committed_migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "prisma" / "migrations"


async def migrate(url: str, migrations: Sequence[Migration]) -> tuple[str, ...]:
    """Bring the database up to date; returns the names of what was applied now. Several may call it at once.

    Raises:
        ConfigError: the database cannot be reached, a migration failed (it was rolled back, those before it stay), or
            one that was applied has been changed since.
    """
    try:
        async with await psycopg.AsyncConnection.connect(plain_address(url)) as connection:
            return tuple([each.name for each in migrations if await _apply(connection, each)])
    except psycopg.OperationalError as error:
        raise ConfigError(f"DATABASE_URL: the database cannot be used: {error}") from error


async def _apply(connection: psycopg.AsyncConnection[Any], migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(_TABLE)
        known = await _known(connection)
        if migration.name in known:
            if known[migration.name] != migration.checksum:
                raise ConfigError(f"migration {migration.name} was changed after this database had applied it")
            return False
        try:
            await connection.execute(migration.sql.encode())
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise ConfigError(
                f"migration {migration.name} failed and was rolled back: {str(error).strip()}. "
                "The database is as it was before; correct the cause and start again"
            ) from error
        await connection.execute(
            "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count) "
            "VALUES (%s, %s, %s, clock_timestamp(), 1)",
            (str(uuid.uuid4()), migration.checksum, migration.name),
        )
    _log.info("database migrated", migration=migration.name)
    return True


async def _known(connection: psycopg.AsyncConnection[Any]) -> Mapping[str, str]:
    rows = await connection.execute(
        "SELECT migration_name, checksum FROM _prisma_migrations "
        "WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
    )
    return {str(name): str(checksum) async for name, checksum in rows}
