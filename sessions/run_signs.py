"""Signs that agents' runs are alive, in Redis."""

from collections.abc import Sequence

from redis.asyncio import Redis

from sessions.connection import state_errors
from sessions.keys import run_key

_GOOD_MS = 10_000


class RunSigns:
    """Every method raises :class:`~voicegate.kernel.errors.StateUnavailable` if Redis is away."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def give(self, run_ids: Sequence[str]) -> None:
        """These are alive; it is good for ten seconds."""
        if not run_ids:
            return
        with state_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for run_id in run_ids:
                    pipe.set(run_key(run_id), b"", px=_GOOD_MS)
                await pipe.execute()

    async def of(self, run_ids: Sequence[str]) -> list[bool]:
        """Whether there is a sign of each."""
        if not run_ids:
            return []
        with state_errors():
            return [sign is not None for sign in await self._client.mget([run_key(run_id) for run_id in run_ids])]
