"""Looks after what the API depends on: notices that it is away and that it is back, whether requests come or not."""

import asyncio
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis

from control_api.db.database import Database
from control_api.degradation.breaker import Breaker
from control_api.degradation.conditions import Conditions
from control_api.identity.outsiders import Outsider
from sessions.connection import AWAY

EVERY_S = 1.0
AWAY_EVERY_S = 0.5
_log = structlog.get_logger(__name__)


class Watcher:
    def __init__(
        self,
        database: Database,
        redis: Redis,
        redis_breaker: Breaker,
        outsiders: Sequence[Outsider],
        conditions: Conditions,
    ) -> None:
        self._database, self._redis, self._breaker = database, redis, redis_breaker
        self._outsiders, self._conditions = outsiders, conditions

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            try:
                await self.look()
            except Exception:
                # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                _log.exception("services not looked after")
            await asyncio.sleep(AWAY_EVERY_S if self._conditions.current else EVERY_S)

    async def look(self) -> None:
        """Ask each service once."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_at_database())
            tasks.create_task(self._look_at_redis())
            for outsider in (each for each in self._outsiders if each.may_be_away):
                tasks.create_task(self._look_at_issuer(outsider))

    async def _look_at_database(self) -> None:
        well = await self._database.look() or await self._database.look()
        self._conditions.see("database", away=not well)

    async def _look_at_redis(self) -> None:
        # Twice: where our own loop stood still for a second, the first answer came too late for its time limit.
        well = await self._ping() or await self._ping()
        self._conditions.see("state", away=not well)

    async def _ping(self) -> bool:
        self._breaker.lets_through(now=True)
        try:
            await self._redis.execute_command("PING")  # type: ignore[no-untyped-call]
        except AWAY:
            self._breaker.failed()
            return False
        self._breaker.succeeded()
        return True

    async def _look_at_issuer(self, outsider: Outsider) -> None:
        self._conditions.see("issuer", away=await outsider.is_away(), name=outsider.name)
