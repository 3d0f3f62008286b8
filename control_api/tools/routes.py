"""``/tools``: HTTP requests that agents may make in calls."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.db.models.agents import Tool
from control_api.identity.caller import Caller
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import ControlParts, Parts
from control_api.revisions import IfMatch, entity_tag
from control_api.tools.schemas import SentShown, TestGiven, TestShown, ToolChange, ToolGiven, ToolShown, ToolSummary
from control_api.tools.service import ToolService, snapshot_of_tool, tool_shown
from control_api.wire import Page
from pipeline.adapters.http_tool import ToolOutcome

router = APIRouter(prefix="/tools", tags=["tools"])

ToolId = Annotated[UUID, Path(alias="toolId")]


@guarded(router.get, "", "tools:read", errors=(404,))
async def tools(
    parts: Parts,
    caller: CallerDep,
    paging: PagingDep,
    agent_id: Annotated[UUID | None, Query(alias="agentId", description="Those that belong to this agent.")] = None,
) -> Page[ToolSummary]:
    """All tools, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        items, following = await _service(parts, caller, session).page(paging, agent_id)
    return Page(items=list(items), next_cursor=following)


@guarded(router.post, "", "tools:write", status_code=201, response_model=ToolShown, errors=(404, 409))
async def create(parts: Parts, caller: CallerDep, body: ToolGiven, once: OnceDep) -> Response:
    """A new tool. Calls get it when an agent that uses it is published."""

    async def work(session: AsyncSession) -> Answer:
        row = await _service(parts, caller, session).create(body)
        headers = {"Location": f"/api/v1/tools/{row.id}", "ETag": entity_tag(row.revision)}
        return Answer(tool_shown(row), headers=headers)

    return await once(work)


@guarded(router.get, "/{toolId:uuid}", "tools:read", errors=(404,))
async def tool(parts: Parts, caller: CallerDep, tool_id: ToolId, response: Response) -> ToolShown:
    """One tool, without its secrets."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).get(tool_id)
    return _tagged(row, response)


@guarded(router.patch, "/{toolId:uuid}", "tools:write", errors=(404, 409, 412, 428))
async def change(
    parts: Parts, caller: CallerDep, tool_id: ToolId, body: ToolChange, response: Response, if_match: IfMatch = None
) -> ToolShown:
    """Change it. Calls get the change when an agent that uses it is published again."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).change(tool_id, body, if_match)
    return _tagged(row, response)


@guarded(router.delete, "/{toolId:uuid}", "tools:write", status_code=204, response_class=Response, errors=(404,))
async def delete(parts: Parts, caller: CallerDep, tool_id: ToolId) -> None:
    """Take it away. Agents that were published with it keep it until they are published again."""
    async with parts.database.organization(caller.organization_id) as session:
        await _service(parts, caller, session).delete(tool_id)


@guarded(router.post, "/{toolId:uuid}/test", "tools:test", errors=(404,))
async def test(parts: Parts, caller: CallerDep, tool_id: ToolId, body: TestGiven) -> TestShown:
    """Run it once, for real, and see what was sent and what came back."""
    async with parts.database.organization(caller.organization_id) as session:
        snapshot = snapshot_of_tool(await _service(parts, caller, session).get(tool_id))
    outcome = await parts.tool_calls.call_tool(str(caller.organization_id), snapshot, body.arguments)
    return _outcome_shown(outcome)


def _service(parts: ControlParts, caller: Caller, session: AsyncSession) -> ToolService:
    return ToolService(session, caller, parts.sealing, parts.clock, plain_http=parts.config.plain_http_tools)


def _tagged(row: Tool, response: Response) -> ToolShown:
    response.headers["ETag"] = entity_tag(row.revision)
    return tool_shown(row)


def _outcome_shown(outcome: ToolOutcome) -> TestShown:
    sent = outcome.sent
    body = sent.body.decode() if sent is not None and sent.body is not None else None
    return TestShown(
        ok=outcome.ok,
        status=outcome.status,
        duration_ms=outcome.duration_ms,
        result=outcome.result,
        sent=SentShown(method=sent.method, url=sent.url, headers=dict(sent.headers), body=body) if sent else None,
    )
