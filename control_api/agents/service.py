"""What is done with agents. Every method works in the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.agents.configuration import AgentConfiguration, shortcomings, snapshot_of, stored
from control_api.agents.equipment import Equipment, equipment_of, read_equipment, wants
from control_api.agents.publisher import Publisher
from control_api.agents.schemas import AgentChange, AgentShown, AgentSummary, VersionShown
from control_api.db.models.agents import Agent, AgentVersion
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.paging import Paging, cursor
from control_api.problems import Pointer, Problem, missing
from control_api.revisions import expect_revision
from sessions.agents import AgentSnapshot
from voicegate.kernel.clock import Clock


class AgentService:
    def __init__(self, session: AsyncSession, caller: Caller, publisher: Publisher, clock: Clock) -> None:
        self._session, self._caller, self._publisher, self._clock = session, caller, publisher, clock
        self._agents = Repository(session, caller.organization_id, Agent)

    async def page(self, paging: Paging) -> tuple[Sequence[AgentSummary], str | None]:
        """Those that are not archived, newest first."""
        rows, following = await self._agents.page(paging, Agent.status != "archived")
        return [AgentSummary.model_validate(row) for row in rows], following

    async def get(self, agent_id: UUID, *, lock: bool = False) -> Agent:
        """Raises Problem: ``not_found``."""
        row = await self._agents.get(agent_id, lock=lock)
        if row is None or row.status == "archived":
            raise missing("agent")
        return row

    async def create(self, name: str, configuration: AgentConfiguration) -> Agent:
        row = Agent(
            organization_id=self._caller.organization_id,
            name=name,
            configuration=stored(configuration),
            created_by=self._caller.user_id,
        )
        self._session.add(row)
        await self._session.flush()
        audit.record(self._session, self._caller, "agent.created", row.id)
        return row

    async def change(self, agent_id: UUID, change: AgentChange, if_match: str | None) -> Agent:
        """Raises Problem: ``not_found``, ``precondition_failed``, ``precondition_required``."""
        row = await self.get(agent_id, lock=True)
        expect_revision(if_match, row.revision)
        if change.name is not None:
            row.name = change.name
        if change.configuration is not None:
            row.configuration = stored(change.configuration)
        self._touch(row)
        audit.record(self._session, self._caller, "agent.changed", row.id, {"revision": row.revision})
        return row

    async def archive(self, agent_id: UUID) -> None:
        """Its calls and versions stay; new calls are not taken. Raises Problem: ``not_found``."""
        row = await self.get(agent_id, lock=True)
        row.status = "archived"
        self._touch(row)
        self._publisher.withdraw(self._session, str(row.id))
        audit.record(self._session, self._caller, "agent.archived", row.id)

    async def verdict(self, agent_id: UUID) -> list[Pointer]:
        """Why the draft cannot be published; empty if it can."""
        return (await self._judged(await self.get(agent_id)))[1]

    async def publish(self, agent_id: UUID, note: str) -> AgentVersion:
        """Raises Problem: ``not_found``, ``invalid``."""
        row = await self.get(agent_id, lock=True)
        equipment, errors = await self._judged(row)
        if errors:
            shifted = [Pointer(pointer=f"/configuration{each.pointer}", detail=each.detail) for each in errors]
            raise Problem("invalid", "The draft cannot be published yet.", errors=shifted)
        return await self._publish(row, row.name, _read(row), equipment, note, "agent.published")

    async def rollback(self, agent_id: UUID, version: int, note: str) -> AgentVersion:
        """Publish again what an earlier version was; the draft stays. Raises Problem: ``not_found``."""
        row = await self.get(agent_id, lock=True)
        earlier = await self.version(agent_id, version)
        name, configuration = _published(earlier)
        equipment = read_equipment(earlier.configuration)
        note = note or f"rollback to {version}"
        return await self._publish(row, name, configuration, equipment, note, "agent.rolled-back")

    async def duplicate(self, agent_id: UUID, name: str | None) -> Agent:
        """A new agent with the same draft. Raises Problem: ``not_found``."""
        row = await self.get(agent_id)
        return await self.create(name or f"{row.name[:93]} (copy)", _read(row))

    async def version(self, agent_id: UUID, version: int) -> AgentVersion:
        """Raises Problem: ``not_found``."""
        found = await self._session.scalar(self._versions(agent_id).where(AgentVersion.version == version))
        if found is None:
            raise missing("version of the agent")
        return found

    async def versions(self, agent_id: UUID, paging: Paging) -> tuple[Sequence[VersionShown], str | None]:
        """Newest first. Raises Problem: ``not_found``."""
        await self.get(agent_id)
        wanted = self._versions(agent_id)
        if paging.after is not None:
            wanted = wanted.where(AgentVersion.version < paging.after.id.int)
        newest = wanted.order_by(AgentVersion.version.desc()).limit(paging.limit + 1)
        rows = list(await self._session.scalars(newest))
        page, more = rows[: paging.limit], len(rows) > paging.limit
        following = cursor(page[-1].created_at, UUID(int=page[-1].version)) if more else None
        return [version_shown(row) for row in page], following

    async def snapshot(self, agent_id: UUID) -> AgentSnapshot:
        """What is published. Raises Problem: ``not_found``, ``not_published``."""
        row = await self.get(agent_id)
        if row.published_version is None:
            raise Problem("not_published", "Publish the agent first.")
        version = await self.version(agent_id, row.published_version)
        name, configuration = _published(version)
        plain = snapshot_of(row.id, row.organization_id, row.published_version, name, configuration)
        return read_equipment(version.configuration).put_into(plain)

    async def draft(self, agent_id: UUID) -> AgentSnapshot:
        """What would be published now, as version 0. Raises Problem: ``not_found``."""
        row = await self.get(agent_id)
        configuration = _read(row)
        equipment = await equipment_of(self._session, row.organization_id, row.id, configuration)
        return equipment.put_into(snapshot_of(row.id, row.organization_id, 0, row.name, configuration))

    async def _judged(self, row: Agent) -> tuple[Equipment, list[Pointer]]:
        """What the draft would be published with, and why it cannot be."""
        configuration = _read(row)
        equipment = await equipment_of(self._session, row.organization_id, row.id, configuration)
        return equipment, shortcomings(configuration) + wants(configuration, equipment)

    async def _publish(
        self,
        row: Agent,
        name: str,
        configuration: AgentConfiguration,
        equipment: Equipment,
        note: str,
        action: str,
    ) -> AgentVersion:
        newest = self._versions(row.id).order_by(AgentVersion.version.desc()).limit(1)
        last = await self._session.scalar(newest)
        version = AgentVersion(
            agent_id=row.id,
            version=last.version + 1 if last else 1,
            organization_id=row.organization_id,
            configuration={"name": name, "configuration": stored(configuration), **equipment.stored()},
            note=note,
            created_by=self._caller.user_id,
        )
        self._session.add(version)
        row.status, row.published_version = "published", version.version
        self._touch(row)
        snapshot = snapshot_of(row.id, row.organization_id, version.version, name, configuration)
        self._publisher.publish(self._session, equipment.put_into(snapshot))
        await self._session.flush()
        audit.record(self._session, self._caller, action, row.id, {"version": version.version})
        return version

    def _versions(self, agent_id: UUID) -> Select[AgentVersion]:
        mine = AgentVersion.organization_id == self._caller.organization_id
        return select(AgentVersion).where(AgentVersion.agent_id == agent_id, mine)

    def _touch(self, row: Agent) -> None:
        row.revision += 1
        row.updated_at = self._clock.utc()


def agent_shown(row: Agent) -> AgentShown:
    return AgentShown.model_validate(row)


def version_shown(row: AgentVersion) -> VersionShown:
    name, configuration = _published(row)
    return VersionShown(
        agent_id=row.agent_id,
        version=row.version,
        name=name,
        configuration=configuration,
        note=row.note,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _read(row: Agent) -> AgentConfiguration:
    return AgentConfiguration.model_validate(row.configuration)


def _published(row: AgentVersion) -> tuple[str, AgentConfiguration]:
    return str(row.configuration["name"]), AgentConfiguration.model_validate(row.configuration["configuration"])
