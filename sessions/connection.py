"""The way to Redis: clients with short timeouts, and one table of their errors."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sessions.config import Config
from voicegate.kernel.errors import ConfigError, StateUnavailable

_CONNECTIONS = 32
"""More commands at once than this wait for their turn."""

_CANCEL_AGAIN_S = 0.2

AWAY = (RedisError, OSError, TimeoutError)
"""What a client raises when Redis cannot be used."""


def open_client(url: str, config: Config) -> Redis:
    """A client of the Redis at ``url`` (``redis://``, ``rediss://`` or ``unix://``); close it with ``aclose``.

    It retries nothing by itself: a journal has its own back-off, and a new call is better refused than kept waiting.
    Open one for the journal and the leases and another for the store, so that a rush of new calls, which may wait for
    a connection longer than the timeout, cannot look like an outage to the calls that are running.

    Raises:
        ConfigError: not a Redis URL.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            protocol=2,
            max_connections=_CONNECTIONS,
            timeout=config.redis_timeout_s,
            socket_timeout=config.redis_timeout_s,
            socket_connect_timeout=config.redis_timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError(f"redis url: {error}") from error
    return Redis.from_pool(pool)


@contextmanager
def state_errors() -> Iterator[None]:
    """Whatever keeps Redis from answering becomes :class:`StateUnavailable`."""
    try:
        yield
    except AWAY as error:
        raise StateUnavailable(f"Redis is away: {error or type(error).__name__}") from error


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks that wait in Redis until they have ended: its client sends by ``asyncio.wait_for``, which in Python
    3.11 forgets a cancellation that comes at the moment when what it waits for is done."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN_S)
