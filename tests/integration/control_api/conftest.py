"""One embedded PostgreSQL for all tests of the control API, and a migrated database of its own for each test."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from control_api.db.database import Database, DatabaseConfig
from control_api.db.migrations import committed, migrate
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres

ADMIN = "postgres"


def with_database(url: str, name: str) -> str:
    return url.replace(f"/{ADMIN}?", f"/{name}?")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The server's address. It is started in a loop and thread of its own: the fixture outlives the tests' loops."""
    folder = Path(tempfile.mkdtemp(prefix="voicegate-test-"))
    folder.chmod(0o755)  # as root, the server runs as another account
    ready, leave = Event(), Event()
    found: list[str | BaseException] = []

    async def hold() -> None:
        async with embedded_postgres(PostgresConfig(directory=folder / "postgres", database=ADMIN)) as url:
            found.append(url)
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
    yield found[0]
    leave.set()
    thread.join()
    shutil.rmtree(folder)


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
