"""``voicegate serve --workers N``: one process a core behind one port, each started again when it dies.

The parent only watches: it holds no call, so nothing of what calls do can bring it down. It keeps the port (bound, not
listening), starts the workers, starts one that died again (sooner or later, by how often it dies), passes signals on,
and ends when all have ended. A worker whose parent dies ends like after SIGTERM.
"""

import asyncio
import contextlib
import ctypes
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from gateway.siblings import Worker
from voicegate.kernel.errors import ConfigError

CONFIG_EXIT: Final = 2
"""Exit code of a worker that cannot start as it is set: starting it again would not help."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_WELL_S: Final = 30.0
"""A worker that lived so long dies of something else than its start."""
_PR_SET_PDEATHSIG: Final = 1
"""linux/prctl.h."""

_log = structlog.get_logger(__name__)


@contextlib.contextmanager
def kept_port(host: str, port: int) -> Iterator[int]:
    """The port, bound for as long as the workers share it; 0 picks a free one.

    Raises:
        ConfigError: somebody else has it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind((host, port))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        yield int(holder.getsockname()[1])


def end_with_parent() -> None:
    """In a worker: be told (SIGTERM) when the parent dies however it dies (prctl(2), Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def worker_of(text: str) -> Worker:
    """``INDEX/COUNT:DIRECTORY``, as :class:`Supervisor` gives it to a worker on its command line.

    Raises:
        ConfigError: something else.
    """
    place, _, directory = text.partition(":")
    index, _, count = place.partition("/")
    try:
        return Worker(int(index), int(count), Path(directory))
    except ValueError:
        raise ConfigError(f"--worker {text!r}: it is the parent's to give") from None


@dataclass
class Supervisor:
    """Runs ``command`` with ``--worker …`` appended, ``count`` times."""

    command: Sequence[str]
    count: int
    _processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _failed: int = 0

    async def run(self) -> int:
        """Until all workers have ended after a signal; returns the worst exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._pass_on, number)
        with tempfile.TemporaryDirectory(prefix="voicegate-") as directory:
            async with asyncio.TaskGroup() as tasks:
                for index in range(self.count):
                    tasks.create_task(self._keep(index, directory))
        return self._failed

    def _pass_on(self, number: signal.Signals) -> None:
        self._stopping.set()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    async def _keep(self, index: int, directory: str) -> None:
        """One worker's place, whoever fills it."""
        loop, pause_s = asyncio.get_running_loop(), _FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._run_one(index, directory)
            if code == CONFIG_EXIT:
                self._failed = CONFIG_EXIT
                self._pass_on(signal.SIGTERM)
            if self._stopping.is_set():
                self._failed = self._failed or max(0, code)
                return
            pause_s = _FIRST_PAUSE_S if loop.time() - began > _WELL_S else min(2 * pause_s, _LONGEST_PAUSE_S)
            _log.error("a worker died and is started again", worker=index, code=code, pause_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _run_one(self, index: int, directory: str) -> int:
        place = f"{index}/{self.count}:{directory}"
        process = await asyncio.create_subprocess_exec(*self.command, "--worker", place)
        self._processes[index] = process
        if self._stopping.is_set():  # the signal came while it started
            process.terminate()
        return await process.wait()


def serve_command(host: str, port: int) -> tuple[str, ...]:
    """What a worker is started with."""
    return (sys.executable, "-m", "voicegate", "serve", "--host", host, "--port", str(port))
