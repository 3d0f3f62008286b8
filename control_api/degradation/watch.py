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
        self._conditions.see("database", away=not await self._database.look())

    async def _look_at_redis(self) -> None:
        try:
            await self._redis.execute_command("PING")  # type: ignore[no-untyped-call]
        except AWAY:
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        self._conditions.see("state", away=self._breaker.is_open)

    async def _look_at_issuer(self, outsider: Outsider) -> None:
        self._conditions.see("issuer", away=await outsider.is_away(), name=outsider.name)
