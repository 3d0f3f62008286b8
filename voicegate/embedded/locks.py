"""Locks of a folder that several processes share: ``flock``, which the kernel drops with its last holder."""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

from voicegate.kernel.errors import ConfigError

_POLL_S = 0.02


@contextlib.asynccontextmanager
async def alone_in(directory: Path, server: str, timeout_s: float) -> AsyncIterator[None]:
    """Alone in the directory: nobody else starts, joins or stops its server meanwhile.

    Raises:
        ConfigError: another process has held the lock for ``timeout_s``.
    """
    with (directory / "start.lock").open("w") as lock:
        try:
            async with asyncio.timeout(timeout_s):
                await until(lambda: try_lock(lock))
        except TimeoutError:
            raise ConfigError(
                f"another process has been starting {server} in {directory} for {timeout_s:g} s"
            ) from None
        yield


async def until(condition: Callable[[], bool]) -> None:
    """Another process changes what we wait for; it cannot set an event of ours."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)


def try_lock(file: IO[str]) -> bool:
    """Take the exclusive lock of an open file, unless somebody has one."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
