"""Servers that stand still, go on, or are killed: what outages look like to those who need them."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Family:
    """A server and its children, as they were when it was stopped."""

    members: tuple[psutil.Process, ...]

    def go_on(self) -> None:
        self._tell(signal.SIGCONT)

    def kill(self) -> None:
        """At once (``kill -9``), all of them: those that stand still too."""
        self._tell(signal.SIGKILL)

    def _tell(self, number: signal.Signals) -> None:
        for each in reversed(self.members):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)


def stop(pid: int) -> Family:
    """The server does nothing any more, and takes connections all the same: the kernel does that."""
    parent = psutil.Process(pid)
    parent.send_signal(signal.SIGSTOP)  # first, so that it makes no more children
    children = parent.children(recursive=True)
    for each in children:
        each.send_signal(signal.SIGSTOP)
    return Family((parent, *children))


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The server does nothing meanwhile."""
    family = stop(pid)
    try:
        yield
    finally:
        family.go_on()


def postmaster(directory: Path) -> int:
    """Process id of the embedded PostgreSQL of this folder."""
    return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def redis_server(directory: Path) -> int:
    """Process id of the embedded Redis of this folder."""
    return int((directory / "redis.pid").read_text())
