"""Waiting for something to become true of a call, asked whenever something happened in it."""

import asyncio
from collections.abc import Callable


class Waiting:
    """Those who wait in one call. The call's driver calls :meth:`ask` after every event and every 20 ms."""

    def __init__(self) -> None:
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Return once ``holds``, or once the call broke; False after ``timeout_s``."""
        if holds():
            return True
        waiter = (holds, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter[1]
        except TimeoutError:
            return holds()
        finally:
            self._waiters.remove(waiter)
        return True

    def ask(self, *, broken: bool) -> None:
        """Let those go on whose condition holds; all of them when the call is ``broken``."""
        for holds, future in self._waiters:
            if not future.done() and (broken or holds()):
                future.set_result(None)
