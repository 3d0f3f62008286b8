"""The way to the database: pool, roles, and one table of its errors.

Every transaction says first as whom it works: as a request of one organisation (``voicegate_control``, behind row-level
security), or as ourselves (``voicegate_system``, for logging in and background work). It is said with
``set_config(..., true)``, which ends with the transaction, so that a transaction pooler may stand in between.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from control_api.db.address import is_pooled, plain_address
from control_api.db.models import every
from voicegate.kernel.errors import VoicegateError

_Role = Literal["voicegate_control", "voicegate_system"]
_WORK_AS = text(
    "SELECT set_config('role', :role, true), set_config('voicegate.organization', :organization, true), "
    "set_config('statement_timeout', :timeout, true)"
)
METADATA = every.METADATA


class DatabaseAway(VoicegateError):
    """The database cannot be used now; a repetition may succeed."""

    code = "database_unavailable"


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    url: str
    pool_size: int = 20
    overflow: int = 30
    recycle_s: int = 300
    wait_s: float = 3.0
    """Longest wait for a connection of the pool, and for one to be made."""
    statement_timeout_ms: int = 5_000


class Database:
    """Sessions of the pool. Close it with :meth:`aclose`."""

    def __init__(self, config: DatabaseConfig) -> None:
        driver: dict[str, object] = {"connect_timeout": max(1, round(config.wait_s))}
        if is_pooled(config.url):
            driver["prepare_threshold"] = None
        self._engine = create_async_engine(
            plain_address(config.url).replace("postgresql://", "postgresql+psycopg://", 1),
            pool_size=config.pool_size,
            max_overflow=config.overflow,
            pool_pre_ping=True,
            pool_recycle=config.recycle_s,
            pool_timeout=config.wait_s,
            connect_args=driver,
            hide_parameters=True,  # errors are logged, and parameters are what people said
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._timeout = str(config.statement_timeout_ms)

    async def aclose(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def organization(self, organization_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction that sees and writes this organisation's rows only. Committed on leaving without an error.

        Raises:
            DatabaseAway: it cannot be used now.
        """
        async with self._transaction("voicegate_control", str(organization_id)) as session:
            yield session

    @asynccontextmanager
    async def system(self) -> AsyncIterator[AsyncSession]:
        """One transaction across organisations: for identities and background work, never for a request's own data.

        Raises:
            DatabaseAway: it cannot be used now.
        """
        async with self._transaction("voicegate_system", "") as session:
            yield session

    @asynccontextmanager
    async def _transaction(self, role: _Role, organization: str) -> AsyncIterator[AsyncSession]:
        with database_errors():
            async with self._sessions.begin() as session:
                values = {"role": role, "organization": organization, "timeout": self._timeout}
                await session.execute(_WORK_AS, values)
                yield session

    async def answers(self) -> bool:
        """Whether a transaction can be made."""
        try:
            async with self.system():
                return True
        except DatabaseAway:
            return False


@contextmanager
def database_errors() -> Iterator[None]:
    """What keeps the database from answering becomes :class:`DatabaseAway`; everything else stays."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise DatabaseAway(f"the database cannot be used: {type(error.__cause__ or error).__name__}") from error
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseAway("the database has closed the connection") from error
        raise
