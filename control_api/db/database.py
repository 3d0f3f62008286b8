"""The way to the database: pool, roles, and one table of its errors.

Every transaction says first as whom it works: as a request of one organisation (``voicegate_control``, behind row-level
security), or as ourselves (``voicegate_system``, for logging in and background work). It is said with
``set_config(..., true)``, which ends with the transaction, so that a transaction pooler may stand in between.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import OperationalError
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from control_api.db.address import is_pooled, plain_address
from control_api.db.models import every
from control_api.db.statements import time_statements
from control_api.db.watched import Patience, WatchedConnection
from control_api.degradation.breaker import Breaker
from voicegate.kernel.clock import Clock, SystemClock
from voicegate.kernel.errors import VoicegateError
from voicegate.kernel.telemetry import Telemetry

_Role = Literal["voicegate_control", "voicegate_system"]
_WORK_AS = text(
    "SELECT set_config('role', :role, true), set_config('voicegate.organization', :organization, true), "
    "set_config('statement_timeout', :timeout, true)"
)
METADATA = every.METADATA


class DatabaseAway(VoicegateError):
    """The database cannot be used now; a repetition may succeed.

    ``lost``: the connection has gone, so that others will fare no better.
    """

    code = "database_unavailable"

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    url: str
    pool_size: int = 20
    overflow: int = 30
    recycle_s: int = 300
    wait_s: float = 3.0
    """Longest wait for a connection of the pool."""
    turn_s: float = 0.3
    """... of which so long for one of the ``pool_size`` that are kept: making one that is thrown away after its
    transaction costs more than most transactions."""
    answer_s: float = 2.0
    """Longest wait for a connection to be made (libpq knows no shorter one), and for the first answer on one."""
    statement_timeout_ms: int = 5_000


class Database:
    """Sessions of the pool. Close it with :meth:`aclose`.

    While the database is away, all but one attempt in a second are refused at once.
    """

    def __init__(self, config: DatabaseConfig, clock: Clock | None = None, telemetry: Telemetry | None = None) -> None:
        self.breaker = Breaker(clock or SystemClock())
        self._patience = Patience(
            config.answer_s, config.statement_timeout_ms / 1000 + config.answer_s, self.breaker.failed
        )
        driver: dict[str, object] = {
            "connect_timeout": max(2, round(config.answer_s)),
            "async_creator_fn": self._connect,
        }
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
        if telemetry is not None:
            time_statements(self._engine.sync_engine, clock or SystemClock(), telemetry)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._timeout = str(config.statement_timeout_ms)
        self._turns, self._turn_s = asyncio.Semaphore(config.pool_size), config.turn_s

    async def aclose(self) -> None:
        await self._engine.dispose()

    async def _connect(self, *address: Any, **options: Any) -> WatchedConnection:
        if self.breaker.refuses:  # the ping of the pool has just found it away: connecting would only wait longer
            raise OperationalError("the database was away a moment ago")
        connection = await WatchedConnection.connect(*address, **options)
        connection.patience = self._patience
        return connection

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
    async def _transaction(self, role: _Role, organization: str, *, now: bool = False) -> AsyncIterator[AsyncSession]:
        if not self.breaker.lets_through(now=now):
            raise DatabaseAway("the database was away a moment ago")
        values = {"role": role, "organization": organization, "timeout": self._timeout}
        try:
            with database_errors():
                async with self._turn(), self._sessions.begin() as session:
                    await self._open(session, values)
                    yield session
        except DatabaseAway as away:
            if away.lost:
                self.breaker.failed()
            raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the connections that are kept, if one is free soon; else the pool makes one more."""
        try:
            async with asyncio.timeout(self._turn_s):
                await self._turns.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._turns.release()

    async def _open(self, session: AsyncSession, values: dict[str, str]) -> None:
        try:
            await session.execute(_WORK_AS, values)
        except (exc.OperationalError, exc.InterfaceError) as error:
            raise DatabaseAway(_why(error), lost=True) from error
        self.breaker.succeeded()

    async def answers(self) -> bool:
        """Whether a transaction can be made."""
        try:
            async with self.system():
                return True
        except DatabaseAway:
            return False

    async def look(self) -> bool:
        """As :meth:`answers`, but also while requests are refused: for whoever watches over it."""
        try:
            async with self._transaction("voicegate_system", "", now=True):
                return True
        except DatabaseAway:
            return False


@contextmanager
def database_errors() -> Iterator[None]:
    """What keeps the database from answering becomes :class:`DatabaseAway`; everything else stays."""
    try:
        yield
    except exc.TimeoutError as error:  # all connections of the pool are in use: that is our own haste
        raise DatabaseAway(_why(error)) from error
    except (exc.OperationalError, exc.InterfaceError) as error:
        raise DatabaseAway(_why(error), lost=error.connection_invalidated) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseAway("the database has closed the connection", lost=True) from error
        raise


def _why(error: Exception) -> str:
    return f"the database cannot be used: {type(error.__cause__ or error).__name__}"
