"""The embedded PostgreSQL: as root and as anybody, adoption after a kill, recovery, sharing, what the errors say."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest

from voicegate.embedded import postgres
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres, keep_postgres
from voicegate.kernel.errors import ConfigError

OWNER = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres, keep_postgres

async def main():
    async with embedded_postgres(PostgresConfig(directory=Path(sys.argv[1]))) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

if len(sys.argv) > 2:  # here and not at the start: the account may not be able to run this Python
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""
ROOT = Path(__file__).resolve().parents[3]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder every account may enter: pytest's own temporary ones are private."""
    path = Path(tempfile.mkdtemp(prefix="voicegate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture
def empty(folder: Path) -> PostgresConfig:
    """Nothing is there yet."""
    return PostgresConfig(directory=folder / "postgres")


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    """A data folder whose server has stopped."""

    async def make(directory: Path) -> None:
        async with embedded_postgres(PostgresConfig(directory=directory)):
            pass

    with open_folder() as path:
        asyncio.run(make(path / "postgres"))
        yield path / "postgres"


@pytest.fixture
def config(empty: PostgresConfig, stopped: Path) -> PostgresConfig:
    """A copy of it, for tests of anything but making one: that takes seconds."""
    subprocess.run(["cp", "-a", str(stopped), str(empty.directory)], check=True)
    return empty


async def ask(url: str, statement: str) -> object:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        row = await cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def postmaster(config: PostgresConfig) -> int:
    return int((config.directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def lives(config: PostgresConfig) -> bool:
    return (config.directory / "data" / "postmaster.pid").exists()


@asynccontextmanager
async def other_process(
    directory: Path, account: int | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(directory), *([] if account is None else [str(account)])),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def leave(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert await process.wait() == 0


async def test_a_given_url_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    config = PostgresConfig(url="postgresql://elsewhere/db", directory=tmp_path / "postgres")
    async with embedded_postgres(config) as url:
        assert url == "postgresql://elsewhere/db"
    assert not config.directory.exists()


async def test_data_survives_a_restart(empty: PostgresConfig) -> None:
    async with embedded_postgres(empty) as url:
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS number")
        assert str(await ask(url, "SHOW server_version")).startswith("18")
        assert await ask(url, "SHOW listen_addresses") == ""
        assert (empty.directory / "run").stat().st_mode & 0o077 == 0
    assert not lives(empty)
    async with embedded_postgres(empty) as url:
        assert await ask(url, "SELECT number FROM kept") == 7


async def test_two_owners_share_one_server_and_the_last_one_stops_it(config: PostgresConfig) -> None:
    async with other_process(config.directory) as (process, other_url):
        async with embedded_postgres(config) as url:
            assert url == other_url
            pid = postmaster(config)
        assert postmaster(config) == pid, "the other owner still uses it"
        await leave(process)
    assert not lives(config)


async def test_many_starting_at_once_get_the_same_server(empty: PostgresConfig) -> None:
    async def identify() -> int:
        async with embedded_postgres(empty):
            found = postmaster(empty)
            await all_in.wait()
            return found

    all_in = asyncio.Barrier(4)
    assert len(set(await asyncio.gather(*(identify() for _ in range(4))))) == 1
    assert not lives(empty)


async def test_a_killed_owner_leaves_a_server_that_the_next_one_adopts(config: PostgresConfig) -> None:
    async with other_process(config.directory) as (process, url):
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS number")
        process.kill()
        await process.wait()
    pid = postmaster(config)
    async with embedded_postgres(config) as url:
        assert postmaster(config) == pid
        assert await ask(url, "SELECT number FROM kept") == 7
    assert not lives(config)


async def test_a_killed_server_is_replaced_and_its_data_recovered(config: PostgresConfig) -> None:
    async with other_process(config.directory) as (process, url):
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS number")
        os.kill(postmaster(config), signal.SIGKILL)
        process.kill()
        await process.wait()
    assert lives(config), "a killed server leaves its file behind"
    async with embedded_postgres(config) as url:
        assert await ask(url, "SELECT number FROM kept") == 7


async def test_a_server_that_dies_under_its_owners_is_started_again(config: PostgresConfig) -> None:
    async with embedded_postgres(config) as url, asyncio.TaskGroup() as tasks:
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS number")
        keeping = [tasks.create_task(keep_postgres(config)) for _ in range(2)]
        killed = postmaster(config)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(30):
            while not await answers(config, url, killed):
                await asyncio.sleep(0.1)
        assert await ask(url, "SELECT number FROM kept") == 7
        for task in keeping:
            task.cancel()
    assert not lives(config), "whoever leaves last still stops it"


async def answers(config: PostgresConfig, url: str, not_pid: int) -> bool:
    """Whether a server answers that is another one."""
    try:
        return await ask(url, "SELECT 1") == 1 and postmaster(config) != not_pid
    except (psycopg.OperationalError, OSError):
        return False


async def test_a_cluster_that_was_half_made_is_made_again(empty: PostgresConfig) -> None:
    half = empty.directory / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with embedded_postgres(empty) as url:
        assert await ask(url, "SELECT 1") == 1


async def test_a_cluster_of_another_version_is_left_alone(empty: PostgresConfig) -> None:
    data = empty.directory / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigError, match="made by PostgreSQL 16"):
        async with embedded_postgres(empty):
            pass


async def test_a_server_that_cannot_start_shows_its_log(config: PostgresConfig) -> None:
    async with embedded_postgres(config):
        pass
    with (config.directory / "data" / "postgresql.conf").open("a") as file:
        file.write("max_connections = lots\n")
    with pytest.raises(ConfigError, match="max_connections"):
        async with embedded_postgres(config):
            pass


async def test_a_folder_too_deep_for_a_socket_gets_a_short_private_one(folder: Path) -> None:
    config = PostgresConfig(directory=folder / ("deep" * 20) / ("deeper" * 10))
    async with embedded_postgres(config) as url:
        assert await ask(url, "SELECT 1") == 1
        assert str(folder) not in url


@needs_root
async def test_a_user_runs_it_as_himself(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    async with other_process(folder / "postgres", nobody.pw_uid) as (process, url):
        assert url, "the process says where its server is"
        assert await ask(url, "SELECT 1") == 1
        assert (folder / "postgres" / "data").stat().st_uid == nobody.pw_uid
        await leave(process)


@needs_root
async def test_root_keeps_data_elsewhere_where_the_folder_is_private(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ROOTS_PLACE", folder)
    tmp_path.chmod(0o700)
    async with embedded_postgres(PostgresConfig(directory=tmp_path / "postgres")) as url:
        assert await ask(url, "SELECT 1") == 1
    assert [each.name.startswith("postgres-") for each in folder.iterdir()] == [True]
    assert tmp_path.stat().st_mode & 0o077 == 0, "private folders stay private"


@needs_root
def test_binaries_in_a_private_folder_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ROOTS_PLACE", folder)
    wheel = postgres._wheel()
    binaries = postgres._copy_binaries(wheel)
    assert postgres._copy_binaries(wheel) == binaries
    said = subprocess.run(
        [str(binaries / "initdb"), "--version"], user="nobody", check=True, capture_output=True, text=True, cwd="/"
    )
    assert "18." in said.stdout
