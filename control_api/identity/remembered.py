"""What the database said of somebody, remembered for a moment; and for longer, while it cannot be asked."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from control_api.db.database import DatabaseAway
from control_api.identity.caller import Doubt
from voicegate.kernel.clock import Clock

REMEMBER_S = 5.0
"""So long may a role that was taken away, or a key that was revoked by another process, still be used."""
_MOST = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    def __init__(self, clock: Clock, grace_s: float) -> None:
        """``grace_s``: while the database is away, so long after it was asked its answer counts, with a doubt."""
        self._clock, self._grace_s = clock, grace_s
        self._values: OrderedDict[K, tuple[float, V | None]] = OrderedDict()

    async def get(self, key: K, find: Callable[[], Awaitable[V | None]]) -> tuple[V | None, Doubt]:
        """What ``find`` finds, or found a moment ago.

        Raises:
            DatabaseAway: ``find`` did, and has found nobody within the grace period.
        """
        now = self._clock.monotonic()
        at, value = self._values.get(key, (float("-inf"), None))
        if now - at < REMEMBER_S:
            return value, ""
        try:
            found = await find()
        except DatabaseAway:
            if value is None or now - at >= self._grace_s:
                raise
            return value, "database"
        self._values[key] = (now, found)
        self._values.move_to_end(key)
        if len(self._values) > _MOST:
            self._values.popitem(last=False)
        return found, ""

    def forget(self, key: K) -> None:
        self._values.pop(key, None)
