"""What is done with handoffs. Every method works in the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.db.models.agents import Agent, Handoff
from control_api.db.repository import Repository
from control_api.handoffs.schemas import HandoffChange, HandoffGiven
from control_api.identity.caller import Caller
from control_api.paging import Paging
from control_api.problems import Problem, missing
from control_api.revisions import expect_revision
from sessions.agents import HandoffSnapshot
from voicegate.kernel.clock import Clock


class HandoffService:
    def __init__(self, session: AsyncSession, caller: Caller, clock: Clock) -> None:
        self._session, self._caller, self._clock = session, caller, clock
        self._handoffs = Repository(session, caller.organization_id, Handoff)
        self._agents = Repository(session, caller.organization_id, Agent)

    async def page(self, paging: Paging, from_agent_id: UUID | None) -> tuple[Sequence[Handoff], str | None]:
        """Newest first. Raises Problem: ``not_found``, the agent is unknown."""
        if from_agent_id is not None:
            await self._agent(from_agent_id)
        conditions = [Handoff.from_agent_id == from_agent_id] if from_agent_id else []
        return await self._handoffs.page(paging, *conditions)

    async def get(self, handoff_id: UUID, *, lock: bool = False) -> Handoff:
        """Raises Problem: ``not_found``."""
        row = await self._handoffs.get(handoff_id, lock=lock)
        if row is None:
            raise missing("handoff")
        return row

    async def create(self, given: HandoffGiven) -> Handoff:
        """Raises Problem: ``not_found``, an agent is unknown; ``conflict``, there is one already."""
        await self._agent(given.from_agent_id, lock=True)
        if given.to_agent_id is not None:
            await self._agent(given.to_agent_id)
        same = select(Handoff.id).where(
            Handoff.organization_id == self._caller.organization_id,
            Handoff.from_agent_id == given.from_agent_id,
            Handoff.to_agent_id == given.to_agent_id if given.to_agent_id else Handoff.to_number == given.to_number,
        )
        if await self._session.scalar(same.limit(1)) is not None:
            raise Problem("conflict", "There is a handoff between these two already.")
        row = Handoff(organization_id=self._caller.organization_id, **given.model_dump(by_alias=False))
        self._session.add(row)
        await self._session.flush()
        audit.record(self._session, self._caller, "handoff.created", row.id)
        return row

    async def change(self, handoff_id: UUID, change: HandoffChange, if_match: str | None) -> Handoff:
        """Raises Problem: ``not_found``, ``precondition_failed``, ``precondition_required``."""
        row = await self.get(handoff_id, lock=True)
        expect_revision(if_match, row.revision)
        row.condition = change.condition
        row.revision += 1
        row.updated_at = self._clock.utc()
        audit.record(self._session, self._caller, "handoff.changed", row.id)
        return row

    async def delete(self, handoff_id: UUID) -> None:
        """Raises Problem: ``not_found``."""
        row = await self.get(handoff_id, lock=True)
        await self._session.delete(row)
        audit.record(self._session, self._caller, "handoff.deleted", row.id)

    async def _agent(self, agent_id: UUID, *, lock: bool = False) -> Agent:
        row = await self._agents.get(agent_id, lock=lock)
        if row is None or row.status == "archived":
            raise missing("agent")
        return row


async def handoffs_of(session: AsyncSession, organization_id: UUID, agent_id: UUID) -> list[Handoff]:
    """Those that the agent may take, oldest first."""
    wanted = select(Handoff).where(Handoff.organization_id == organization_id, Handoff.from_agent_id == agent_id)
    return list(await session.scalars(wanted.order_by(Handoff.created_at, Handoff.id)))


def snapshot_of_handoff(row: Handoff) -> HandoffSnapshot:
    """What a call gets."""
    return HandoffSnapshot(
        condition=row.condition,
        to_agent=str(row.to_agent_id) if row.to_agent_id else "",
        to_number=row.to_number or "",
    )
