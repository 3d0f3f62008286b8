"""How often somebody may ask: the generic cell rate algorithm (ITU-T I.371 annex A), in Redis for all processes.

While Redis is away each process counts for itself, without asking it: a limit that is too generous by the number of
processes is better than an API that answers nobody, or one that anybody may flood.
"""

from dataclasses import dataclass

from redis.asyncio import Redis

from control_api.degradation.breaker import Breaker
from sessions import scripts
from sessions.connection import AWAY
from voicegate.kernel.clock import Clock

_PREFIX = "voicegate:rate:"
_LOCAL_KEYS = 10_000

_TAKE = scripts.Script(
    """
-- KEYS bucket; ARGV interval_ms tolerance_ms
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = due - now - tonumber(ARGV[2])
if wait > 0 then return math.ceil(wait) end
local after = due + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.ceil(after - now) + 1)
return 0
"""
)


@dataclass(frozen=True, slots=True)
class Limit:
    """``burst`` at once, and ``per_s`` in the long run."""

    per_s: float
    burst: int

    @property
    def interval_ms(self) -> float:
        return 1000 / self.per_s

    @property
    def tolerance_ms(self) -> float:
        return self.interval_ms * (self.burst - 1)


class Limits:
    """Buckets by name, empty when first used."""

    def __init__(self, client: Redis, clock: Clock, breaker: Breaker | None = None) -> None:
        self._client = client
        self._clock = clock
        self._breaker = breaker or Breaker(clock)
        self._due_ms: dict[str, float] = {}

    async def take(self, bucket: str, limit: Limit) -> float:
        """Seconds to wait before asking again; 0: granted, and counted."""
        call = scripts.Call(_TAKE, (_PREFIX + bucket,), (repr(limit.interval_ms), repr(limit.tolerance_ms)))
        if not self._breaker.lets_through():
            return self._take_here(bucket, limit)
        try:
            waiting = await scripts.run(self._client, call)
        except AWAY:
            self._breaker.failed()
            return self._take_here(bucket, limit)
        self._breaker.succeeded()
        return int(str(waiting)) / 1000

    async def forget(self, bucket: str) -> None:
        """The bucket is empty again."""
        self._due_ms.pop(bucket, None)
        if self._breaker.is_open:
            return
        try:
            await self._client.delete(_PREFIX + bucket)
        except AWAY:
            return

    def _take_here(self, bucket: str, limit: Limit) -> float:
        now = self._clock.monotonic() * 1000
        if len(self._due_ms) >= _LOCAL_KEYS:
            self._due_ms = {name: due for name, due in self._due_ms.items() if due > now}
        due = max(self._due_ms.get(bucket, 0.0), now)
        wait = due - now - limit.tolerance_ms
        if wait > 0:
            return wait / 1000
        self._due_ms[bucket] = due + limit.interval_ms
        return 0.0
