"""One embedded PostgreSQL for all tests of the control API, and a migrated database of its own for each test."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from redis.asyncio import Redis

from control_api.db.database import Database, DatabaseConfig
from control_api.db.migrations import committed, migrate
from tests.integration.control_api.api import World, running_world
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres
from voicegate.embedded.redis import RedisConfig, embedded_redis

ADMIN = "postgres"


def with_database(url: str, name: str) -> str:
    return url.replace(f"/{ADMIN}?", f"/{name}?")


@contextmanager
def held(opened: Callable[[], AbstractAsyncContextManager[str]]) -> Iterator[str]:
    """What is opened, kept open in a loop and thread of its own: such a fixture outlives the loops of tests."""
    ready, leave = Event(), Event()
    found: list[str | BaseException] = []

    async def hold() -> None:
        async with opened() as address:
            found.append(address)
            ready.set()
            await asyncio.to_thread(leave.wait)

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as error:
            found.append(error)
            ready.set()

    thread = Thread(target=run)
    thread.start()
    ready.wait()
    if isinstance(found[0], BaseException):
        raise found[0]
    try:
        yield found[0]
    finally:
        leave.set()
        thread.join()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that every account may enter: as root, PostgreSQL runs as another one."""
    path = Path(tempfile.mkdtemp(prefix="voicegate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def postgres_url(folder: Path) -> Iterator[str]:
    """The server's address."""
    with held(lambda: embedded_postgres(PostgresConfig(directory=folder / "postgres", database=ADMIN))) as url:
        yield url


@pytest.fixture(scope="session")
def shared_redis_url(folder: Path) -> Iterator[str]:
    """One Redis for all tests of the control API, each module of which begins with an empty one."""
    with held(lambda: embedded_redis(RedisConfig(directory=folder / "redis"))) as url:
        yield url


@asynccontextmanager
async def a_database(server: str, template: str = "template0") -> AsyncIterator[str]:
    """A new database of the server, gone afterwards."""
    name = f"t{uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        yield with_database(server, name)
        await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def empty_database(postgres_url: str) -> AsyncIterator[str]:
    async with a_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """Name of a database with all migrations, to be copied."""
    name = "migrated"

    async def make() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as admin:
            await admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        await migrate(with_database(postgres_url, name), committed())

    asyncio.run(make())
    return name


@pytest.fixture
async def database_url(postgres_url: str, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own; the address is that of its owner."""
    async with a_database(postgres_url, template) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(DatabaseConfig(database_url, pool_size=5))
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(postgres_url: str, template: str, shared_redis_url: str) -> AsyncIterator[World]:
    """A running API with two organisations, for all tests of a module."""
    async with Redis.from_url(shared_redis_url, protocol=2) as client:
        await client.flushdb()
    async with a_database(postgres_url, template) as url, running_world(url, shared_redis_url) as running:
        yield running
