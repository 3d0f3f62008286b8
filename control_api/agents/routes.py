"""``/agents``: draft, validate, publish, roll back, duplicate, export, import."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.agents.configuration import AgentConfiguration, AgentDocument
from control_api.agents.document import from_yaml, to_yaml
from control_api.agents.schemas import (
    AgentChange,
    AgentGiven,
    AgentShown,
    AgentSummary,
    DuplicateGiven,
    PublishGiven,
    RollbackGiven,
    Verdict,
    VersionShown,
)
from control_api.agents.service import AgentService, agent_shown, version_shown
from control_api.db.models.agents import Agent
from control_api.identity.caller import Caller
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import ControlParts, Parts
from control_api.problems import Problem
from control_api.revisions import IfMatch, entity_tag
from control_api.wire import Page

router = APIRouter(prefix="/agents", tags=["agents"])

AgentId = Annotated[UUID, Path(alias="agentId")]
Version = Annotated[int, Path(ge=1, le=2_147_483_647)]

YAML = "application/yaml"
_MUCH_YAML = (YAML, "application/x-yaml", "text/yaml", "text/x-yaml")
_OF_DOCUMENT = {"description": "An agent's document, as GET /agents/schema describes it."}
_DOCUMENT: dict[str, Any] = {
    "requestBody": {"required": True, "content": {YAML: {"schema": _OF_DOCUMENT}}},
}


@guarded(router.get, "", "agents:read")
async def agents(parts: Parts, caller: CallerDep, paging: PagingDep) -> Page[AgentSummary]:
    """All agents, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        items, following = await _service(parts, caller, session).page(paging)
    return Page(items=list(items), next_cursor=following)


@guarded(router.post, "", "agents:write", status_code=201, response_model=AgentShown, errors=(409,))
async def create(parts: Parts, caller: CallerDep, body: AgentGiven, once: OnceDep) -> Response:
    """A new agent. It is a draft until it is published."""

    async def work(session: AsyncSession) -> Answer:
        return _made(await _service(parts, caller, session).create(body.name, body.configuration))

    return await once(work)


@guarded(router.get, "/schema", "agents:read")
async def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an agent's document, for editors."""
    made = AgentDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


@guarded(
    router.post,
    "/import",
    "agents:write",
    status_code=201,
    response_model=AgentShown,
    errors=(409, 415),
    extra=_DOCUMENT,
)
async def import_document(parts: Parts, caller: CallerDep, request: Request, once: OnceDep) -> Response:
    """A new agent from a YAML document."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _MUCH_YAML:
        raise Problem("unsupported_media_type", f"Send {YAML}.")
    document = await asyncio.to_thread(from_yaml, await request.body())

    async def work(session: AsyncSession) -> Answer:
        return _made(await _service(parts, caller, session).create(document.name, document.configuration))

    return await once(work)


@guarded(router.get, "/{agentId:uuid}", "agents:read", errors=(404,))
async def agent(parts: Parts, caller: CallerDep, agent_id: AgentId, response: Response) -> AgentShown:
    """One agent with its draft."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).get(agent_id)
    return _tagged(row, response)


@guarded(router.patch, "/{agentId:uuid}", "agents:write", errors=(404, 412, 428))
async def change(
    parts: Parts,
    caller: CallerDep,
    agent_id: AgentId,
    body: AgentChange,
    response: Response,
    if_match: IfMatch = None,
) -> AgentShown:
    """Change name or draft. Calls get the change when it is published."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).change(agent_id, body, if_match)
    return _tagged(row, response)


@guarded(router.delete, "/{agentId:uuid}", "agents:write", status_code=204, response_class=Response, errors=(404,))
async def archive(parts: Parts, caller: CallerDep, agent_id: AgentId) -> None:
    """Take it away. Its conversations stay."""
    async with parts.database.organization(caller.organization_id) as session:
        await _service(parts, caller, session).archive(agent_id)
    await parts.publisher.deliver()


@guarded(router.post, "/{agentId:uuid}/validate", "agents:read", errors=(404,))
async def validate(parts: Parts, caller: CallerDep, agent_id: AgentId) -> Verdict:
    """Whether the draft can be published."""
    async with parts.database.organization(caller.organization_id) as session:
        errors = await _service(parts, caller, session).verdict(agent_id)
    return Verdict(valid=not errors, errors=errors)


@guarded(
    router.post,
    "/{agentId:uuid}/publish",
    "agents:publish",
    status_code=201,
    response_model=VersionShown,
    errors=(404, 409),
)
async def publish(parts: Parts, caller: CallerDep, agent_id: AgentId, body: PublishGiven, once: OnceDep) -> Response:
    """Make the draft what new calls get."""

    async def work(session: AsyncSession) -> Answer:
        return Answer(version_shown(await _service(parts, caller, session).publish(agent_id, body.note)))

    answer = await once(work)
    await parts.publisher.deliver()
    return answer


@guarded(router.get, "/{agentId:uuid}/versions", "agents:read", errors=(404,))
async def versions(parts: Parts, caller: CallerDep, agent_id: AgentId, paging: PagingDep) -> Page[VersionShown]:
    """What was published, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        items, following = await _service(parts, caller, session).versions(agent_id, paging)
    return Page(items=list(items), next_cursor=following)


@guarded(router.get, "/{agentId:uuid}/versions/{version}", "agents:read", errors=(404,))
async def version(parts: Parts, caller: CallerDep, agent_id: AgentId, version: Version) -> VersionShown:
    """One version."""
    async with parts.database.organization(caller.organization_id) as session:
        return version_shown(await _service(parts, caller, session).version(agent_id, version))


@guarded(
    router.post,
    "/{agentId:uuid}/rollback",
    "agents:publish",
    status_code=201,
    response_model=VersionShown,
    errors=(404, 409),
)
async def rollback(parts: Parts, caller: CallerDep, agent_id: AgentId, body: RollbackGiven, once: OnceDep) -> Response:
    """Publish an earlier version again, as a new one. The draft stays as it is."""

    async def work(session: AsyncSession) -> Answer:
        service = _service(parts, caller, session)
        return Answer(version_shown(await service.rollback(agent_id, body.version, body.note)))

    answer = await once(work)
    await parts.publisher.deliver()
    return answer


@guarded(
    router.post,
    "/{agentId:uuid}/duplicate",
    "agents:write",
    status_code=201,
    response_model=AgentShown,
    errors=(404, 409),
)
async def duplicate(
    parts: Parts, caller: CallerDep, agent_id: AgentId, body: DuplicateGiven, once: OnceDep
) -> Response:
    """A new agent with the same draft."""

    async def work(session: AsyncSession) -> Answer:
        return _made(await _service(parts, caller, session).duplicate(agent_id, body.name))

    return await once(work)


@guarded(
    router.get,
    "/{agentId:uuid}/export",
    "agents:read",
    errors=(404,),
    response_class=Response,
    responses={200: {"content": {YAML: {"schema": _OF_DOCUMENT}}, "description": "The document."}},
)
async def export(parts: Parts, caller: CallerDep, agent_id: AgentId) -> Response:
    """The agent as a YAML document, to be imported elsewhere."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).get(agent_id)
    text = to_yaml(row.name, AgentConfiguration.model_validate(row.configuration))
    return Response(text, media_type=YAML)


def _service(parts: ControlParts, caller: Caller, session: AsyncSession) -> AgentService:
    return AgentService(session, caller, parts.publisher, parts.clock)


def _tagged(row: Agent, response: Response) -> AgentShown:
    response.headers["ETag"] = entity_tag(row.revision)
    return agent_shown(row)


def _made(row: Agent) -> Answer:
    location = f"/api/v1/agents/{row.id}"
    return Answer(agent_shown(row), headers={"Location": location, "ETag": entity_tag(row.revision)})
