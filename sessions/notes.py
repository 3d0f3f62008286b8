"""Short notes that all processes of a deployment share: capabilities of phone calls, proofs that were used.

It satisfies :class:`gateway.phone.capability.Notes` and :class:`gateway.tokens.SpentTokens`.
"""

from typing import cast

from redis.asyncio import Redis

from sessions.connection import state_errors
from sessions.keys import note_key, spent_key
from voicegate.kernel.clock import Clock


class SharedNotes:
    """Every method raises :class:`~voicegate.kernel.errors.StateUnavailable` if Redis is away."""

    def __init__(self, client: Redis, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def put(self, name: str, value: bytes, ttl_s: float) -> None:
        """Keep ``value`` under ``name``; one that was there is replaced."""
        with state_errors():
            await self._client.set(note_key(name), value, px=max(1, round(ttl_s * 1000)))

    async def take(self, name: str) -> bytes | None:
        """Read and remove in one step: of two that ask, one gets it."""
        with state_errors():
            found = await self._client.getdel(note_key(name))
        return cast(bytes | None, found)

    async def read(self, name: str) -> bytes | None:
        with state_errors():
            found = await self._client.get(note_key(name))
        return cast(bytes | None, found)

    async def spend(self, token_id: str, expires: int) -> bool:
        """True the first time for this id. It is forgotten after ``expires`` (seconds since the epoch)."""
        left_ms = round((expires - self._clock.utc().timestamp()) * 1000)
        with state_errors():
            first = await self._client.set(spent_key(token_id), b"", nx=True, px=max(1, left_ms) + _KEPT_MS)
        return bool(first)


_KEPT_MS = 60_000
"""A spent token is remembered for so long after it has expired: clocks of a deployment may differ, and a call that was
let in with it may stand at the door for a while before there is a record of it (who frees the credits of calls that
never came looks here)."""
