"""Writes to Redis that no request waits for: gathered, bounded, and given up where Redis does not take them."""

import asyncio
from collections import OrderedDict

import structlog
from redis.asyncio import Redis

from control_api.degradation.breaker import Breaker
from sessions import scripts
from sessions.connection import AWAY

_GATHER_S = 0.25
_BATCH = 64
_MOST_BYTES = 8 * 1024 * 1024
_log = structlog.get_logger(__name__)


class WriteBehind:
    """What is offered is written a moment later. Of two writes with one name only the later one is made."""

    def __init__(self, client: Redis, breaker: Breaker) -> None:
        self._client, self._breaker = client, breaker
        self._waiting: OrderedDict[str, tuple[scripts.Call, int]] = OrderedDict()
        self._bytes = 0
        self._wake = asyncio.Event()

    def offer(self, name: str, call: scripts.Call, size_bytes: int) -> None:
        """Write it soon, or never: what would take too much memory until then is dropped."""
        self._take_out(name)
        if self._bytes + size_bytes > _MOST_BYTES:
            return
        self._waiting[name] = (call, size_bytes)
        self._bytes += size_bytes
        self._wake.set()

    def drop_all(self, prefix: str) -> None:
        """Do not write what has a name that begins so."""
        for name in [each for each in self._waiting if each.startswith(prefix)]:
            self._take_out(name)

    def _take_out(self, name: str) -> None:
        if name in self._waiting:
            self._bytes -= self._waiting.pop(name)[1]

    async def run(self) -> None:
        """Write, for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_S)
            await self.flush()

    async def flush(self) -> None:
        """Write all that waits; while Redis is away it is dropped, for it would be old when Redis is back."""
        self._wake.clear()
        while self._waiting:
            batch = [self._waiting.popitem(last=False)[1] for _ in range(min(_BATCH, len(self._waiting)))]
            self._bytes -= sum(size for _, size in batch)
            if self._breaker.is_open:
                continue
            try:
                answers = await scripts.run_all(self._client, [call for call, _ in batch])
            except AWAY:
                self._breaker.failed()
                continue
            for refusal in (each for each in answers if isinstance(each, Exception)):
                _log.error("not kept", error=str(refusal))
