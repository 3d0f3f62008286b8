"""A connection that notices a server that says nothing any more.

A server that is frozen, or behind a cable that is cut, still takes what we send; its own time limits do not run, and
the driver would wait for ever. So every wait has a bound, after which the socket is shut down: whoever waits then sees
a connection that has ended, and so does the pool.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

_GRACE_S = 0.25
"""When our own loop stood still, the answer may have come meanwhile: it is given the time to be read."""
RV = TypeVar("RV")


@dataclass(frozen=True, slots=True)
class Patience:
    opening_s: float
    """For the first statement of a transaction, which costs the server nothing."""
    statement_s: float
    """For any other; longer than the server's own bound."""
    on_silence: Callable[[], None]
    """Told that a connection was given up."""


class WatchedConnection(AsyncConnection[Any]):
    """Of :attr:`patience`, where that is set."""

    patience: Patience | None = None

    async def wait(self, gen: PQGen[RV], *rest: Any, **options: Any) -> RV:
        patience = self.patience
        if patience is None:
            return await super().wait(gen, *rest, **options)
        idle = self.pgconn.transaction_status == TransactionStatus.IDLE
        loop = asyncio.get_running_loop()

        timers: list[asyncio.TimerHandle] = [
            loop.call_later(
                patience.opening_s if idle else patience.statement_s,
                lambda: timers.append(loop.call_later(_GRACE_S, self._give_up, patience)),
            )
        ]
        try:
            return await super().wait(gen, *rest, **options)
        finally:
            for timer in timers:
                timer.cancel()

    def _give_up(self, patience: Patience) -> None:
        patience.on_silence()
        try:
            with socket.socket(fileno=os.dup(self.pgconn.socket)) as wire:
                wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself
