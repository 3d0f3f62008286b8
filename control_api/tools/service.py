"""What is done with tools. Every method works in the caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.db.models.agents import Agent, Tool
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.paging import Paging
from control_api.problems import Pointer, Problem, missing
from control_api.revisions import expect_revision
from control_api.tools.schemas import HttpConfiguration, Parameters, ToolChange, ToolGiven, ToolShown, ToolSummary
from pipeline.adapters.http_request import header_faults, template_faults
from sessions.agents import ToolSnapshot
from sessions.sealing import Sealing
from voicegate.kernel.clock import Clock


class ToolService:
    def __init__(
        self, session: AsyncSession, caller: Caller, sealing: Sealing, clock: Clock, *, plain_http: bool
    ) -> None:
        self._session, self._caller, self._sealing, self._clock = session, caller, sealing, clock
        self._plain_http = plain_http
        self._tools = Repository(session, caller.organization_id, Tool)

    async def page(self, paging: Paging, agent_id: UUID | None) -> tuple[Sequence[ToolSummary], str | None]:
        """Newest first. Raises Problem: ``not_found``, the agent is unknown."""
        if agent_id is not None:
            await self._expect_agent(agent_id)
        rows, following = await self._tools.page(paging, *([Tool.agent_id == agent_id] if agent_id else []))
        return [ToolSummary.model_validate(row) for row in rows], following

    async def get(self, tool_id: UUID, *, lock: bool = False) -> Tool:
        """Raises Problem: ``not_found``."""
        row = await self._tools.get(tool_id, lock=lock)
        if row is None:
            raise missing("tool")
        return row

    async def create(self, given: ToolGiven) -> Tool:
        """Raises Problem: ``not_found``, ``conflict``, ``invalid``."""
        if given.agent_id is not None:
            await self._expect_agent(given.agent_id)
        self._check(given.configuration, given.parameters, given.secrets)
        row = Tool(
            organization_id=self._caller.organization_id,
            agent_id=given.agent_id,
            name=given.name,
            description=given.description,
            parameters=_schema(given.parameters),
            configuration={**given.configuration.model_dump(), "secrets": self._sealed(given.secrets)},
        )
        self._session.add(row)
        await self._flush(given.name)
        audit.record(self._session, self._caller, "tool.created", row.id, {"secrets": sorted(given.secrets)})
        return row

    async def change(self, tool_id: UUID, change: ToolChange, if_match: str | None) -> Tool:
        """Raises Problem: ``not_found``, ``conflict``, ``invalid``, ``precondition_failed``,
        ``precondition_required``."""
        row = await self.get(tool_id, lock=True)
        expect_revision(if_match, row.revision)
        configuration, sealed = configuration_of(row), dict(row.configuration["secrets"])
        given = change.secrets or {}
        sealed |= self._sealed({name: value for name, value in given.items() if value is not None})
        sealed = {name: value for name, value in sealed.items() if given.get(name, "") is not None}
        configuration = change.configuration or configuration
        parameters = change.parameters or Parameters.model_validate(row.parameters)
        self._check(configuration, parameters, sealed)
        row.name = change.name or row.name
        row.description = row.description if change.description is None else change.description
        row.parameters = _schema(parameters)
        row.configuration = {**configuration.model_dump(), "secrets": sealed}
        row.revision += 1
        row.updated_at = self._clock.utc()
        await self._flush(row.name)
        audit.record(self._session, self._caller, "tool.changed", row.id, {"secrets": sorted(given)})
        return row

    async def delete(self, tool_id: UUID) -> None:
        """What was published with it keeps it. Raises Problem: ``not_found``."""
        row = await self.get(tool_id, lock=True)
        await self._session.delete(row)
        audit.record(self._session, self._caller, "tool.deleted", row.id)

    def _check(self, configuration: HttpConfiguration, parameters: Parameters, secrets: Mapping[str, Any]) -> None:
        faults = template_faults(configuration.url, parameters.properties, plain_http=self._plain_http)
        found = [Pointer(pointer="/body/configuration/url", detail=fault) for fault in faults]
        for name, fault in header_faults(configuration.headers, secrets):
            escaped = name.replace("~", "~0").replace("/", "~1")
            found.append(Pointer(pointer=f"/body/configuration/headers/{escaped}", detail=fault))
        if found:
            raise Problem("invalid", "The tool's request cannot be made like this.", errors=found)

    def _sealed(self, secrets: Mapping[str, str]) -> dict[str, str]:
        return {name: self._sealing.seal(str(self._caller.organization_id), value) for name, value in secrets.items()}

    async def _expect_agent(self, agent_id: UUID) -> None:
        row = await Repository(self._session, self._caller.organization_id, Agent).get(agent_id)
        if row is None or row.status == "archived":
            raise missing("agent")

    async def _flush(self, name: str) -> None:
        try:
            async with self._session.begin_nested():
                await self._session.flush()
        except IntegrityError as error:
            raise Problem("conflict", f"There is a tool {name!r} already.") from error


async def tools_of(session: AsyncSession, organization_id: UUID, agent_id: UUID, names: Sequence[str]) -> list[Tool]:
    """The agent's own tools, and those of the organisation that it names."""
    wanted = select(Tool).where(
        Tool.organization_id == organization_id,
        or_(Tool.agent_id == agent_id, Tool.agent_id.is_(None) & Tool.name.in_(names)),
    )
    return list(await session.scalars(wanted.order_by(Tool.name)))


def snapshot_of_tool(row: Tool) -> ToolSnapshot:
    """What a call gets; its secrets are sealed."""
    configuration = configuration_of(row)
    return ToolSnapshot(
        name=row.name,
        description=row.description,
        parameters=row.parameters,
        method=configuration.method,
        url=configuration.url,
        headers=configuration.headers,
        secrets=row.configuration["secrets"],
        timeout_s=configuration.timeout_ms / 1000,
        acts=configuration.side_effect,
        filler=configuration.filler,
    )


def configuration_of(row: Tool) -> HttpConfiguration:
    return HttpConfiguration.model_validate({k: v for k, v in row.configuration.items() if k != "secrets"})


def tool_shown(row: Tool) -> ToolShown:
    """Without its secrets."""
    return ToolShown(
        id=row.id,
        name=row.name,
        description=row.description,
        agent_id=row.agent_id,
        parameters=row.parameters,
        configuration=configuration_of(row),
        secret_names=sorted(row.configuration["secrets"]),
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _schema(parameters: Parameters) -> dict[str, Any]:
    return parameters.model_dump(mode="json", by_alias=True, exclude_none=True)
