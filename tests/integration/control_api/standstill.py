"""Processes that stand still: what a machine looks like that hangs, which is worse than one that is gone."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil


def postmaster(directory: Path) -> int:
    """Process id of the embedded PostgreSQL of this folder."""
    return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def redis_server(directory: Path) -> int:
    """Process id of the embedded Redis of this folder."""
    return int((directory / "redis.pid").read_text())


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The process and its children do nothing meanwhile."""
    parent = psutil.Process(pid)
    parent.send_signal(signal.SIGSTOP)  # first, so that it makes no more children
    family = [parent, *parent.children(recursive=True)]
    for each in family[1:]:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in reversed(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGCONT)
