"""Brings what was published to Redis, however often either side was away.

A publication writes a row of the outbox in its own transaction. Delivering is repeatable: Redis keeps the higher
version. At the start everything is delivered again, because Redis may have been replaced.
"""

import asyncio
import contextlib
from uuid import UUID

import msgspec
import structlog
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.agents.configuration import AgentConfiguration, snapshot_of
from control_api.agents.equipment import read_equipment
from control_api.db.database import Database, DatabaseAway
from control_api.db.models.agents import Agent, AgentVersion
from control_api.db.models.bookkeeping import OutboxEntry
from control_api.notifications.facts import note
from sessions.agents import AgentShelf, AgentSnapshot
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable

_PUBLISHED, _WITHDRAWN = "agent.published", "agent.withdrawn"
_BATCH = 100
_EVERY_S = 5.0
_log = structlog.get_logger(__name__)


class Publisher:
    def __init__(self, database: Database, shelf: AgentShelf, clock: Clock, *, paid: bool = False) -> None:
        """``paid``: calls to published agents cost credits, and the gateway is told so."""
        self._paid = paid
        self._database, self._shelf, self._clock = database, shelf, clock

    def publish(self, session: AsyncSession, snapshot: AgentSnapshot) -> None:
        """Note it in the transaction of the publication; call :meth:`deliver` when that is committed."""
        payload = msgspec.to_builtins(snapshot)
        session.add(OutboxEntry(topic=_PUBLISHED, key=snapshot.id, payload=payload))
        about = {"agentId": snapshot.id, "version": snapshot.version, "name": snapshot.name}
        note(session, UUID(snapshot.organization_id), "agent.published", about)

    def withdraw(self, session: AsyncSession, agent_id: str) -> None:
        """The agent is there no more; as :meth:`publish`."""
        session.add(OutboxEntry(topic=_WITHDRAWN, key=agent_id, payload={}))

    async def put(self, snapshot: AgentSnapshot) -> None:
        """Make sure that the gateway has it now.

        Raises:
            StateUnavailable: Redis is away.
        """
        await self._shelf.put(msgspec.structs.replace(snapshot, paid=self._paid))

    async def deliver(self) -> None:
        """Bring what waits to Redis, as far as possible now; the rest goes with the next round."""
        with contextlib.suppress(StateUnavailable, DatabaseAway):
            while await self._deliver_batch() == _BATCH:
                pass

    async def run(self) -> None:
        """Deliver everything once, then whatever waits, for ever."""
        restocked = False
        while True:
            try:
                if not restocked:
                    await self._restock()
                    restocked = True
                await self.deliver()
            except (StateUnavailable, DatabaseAway) as error:
                _log.warning("publications wait", error=error.code)
            except Exception:
                # Whatever it is, it must not take the API down, nor the gateway that may run beside it.
                _log.exception("publications failed")
            await asyncio.sleep(_EVERY_S)

    async def _deliver_batch(self) -> int:
        async with self._database.system() as session:
            ours = OutboxEntry.delivered_at.is_(None), OutboxEntry.topic.in_((_PUBLISHED, _WITHDRAWN))
            waiting = select(OutboxEntry).where(*ours).order_by(OutboxEntry.id)
            entries = list(await session.scalars(waiting.limit(_BATCH).with_for_update()))
            for entry in entries:
                await self._deliver_one(entry)
            ids = [entry.id for entry in entries]
            if ids:
                done = update(OutboxEntry).where(OutboxEntry.id.in_(ids)).values(delivered_at=self._clock.utc())
                await session.execute(done)
        return len(entries)

    async def _deliver_one(self, entry: OutboxEntry) -> None:
        try:
            if entry.topic == _PUBLISHED:
                await self.put(msgspec.convert(entry.payload, AgentSnapshot))
            elif entry.topic == _WITHDRAWN:
                await self._shelf.remove(entry.key)
        except msgspec.ValidationError:  # of another version: the others must not wait for it for ever
            _log.exception("publication not understood", key=entry.key)

    async def _restock(self) -> None:
        published = (
            select(Agent, AgentVersion)
            .join(AgentVersion, AgentVersion.agent_id == Agent.id)
            .where(AgentVersion.version == Agent.published_version, Agent.status == "published")
        )
        async with self._database.system() as session:
            rows = list(await session.execute(published))
        for agent, version in rows:
            try:
                configuration = AgentConfiguration.model_validate(version.configuration["configuration"])
                equipment = read_equipment(version.configuration)
            except (ValidationError, msgspec.ValidationError):
                _log.exception("publication not understood", key=str(agent.id))
                continue
            name = str(version.configuration["name"])
            plain = snapshot_of(agent.id, agent.organization_id, version.version, name, configuration)
            await self.put(equipment.put_into(plain))
