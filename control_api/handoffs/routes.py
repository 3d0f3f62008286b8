"""``/handoffs``: who takes over from an agent, and when."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.agents.service import AgentService
from control_api.db.models.agents import Handoff
from control_api.handoffs.schemas import (
    HandoffChange,
    HandoffGiven,
    HandoffShown,
    HandoffTestGiven,
    HandoffTestShown,
)
from control_api.handoffs.service import HandoffService, snapshot_of_handoff
from control_api.handoffs.trial import try_handoff
from control_api.identity.caller import Caller
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import ControlParts, Parts
from control_api.revisions import IfMatch, entity_tag
from control_api.wire import Page

router = APIRouter(prefix="/handoffs", tags=["handoffs"])

HandoffId = Annotated[UUID, Path(alias="handoffId")]


@guarded(router.get, "", "handoffs:read", errors=(404,))
async def handoffs(
    parts: Parts,
    caller: CallerDep,
    paging: PagingDep,
    from_agent_id: Annotated[UUID | None, Query(alias="fromAgentId")] = None,
) -> Page[HandoffShown]:
    """All handoffs, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        rows, following = await _service(parts, caller, session).page(paging, from_agent_id)
    return Page(items=[HandoffShown.model_validate(row) for row in rows], next_cursor=following)


@guarded(router.post, "", "handoffs:write", status_code=201, response_model=HandoffShown, errors=(404, 409))
async def create(parts: Parts, caller: CallerDep, body: HandoffGiven, once: OnceDep) -> Response:
    """A new handoff. Calls get it when the agent that hands over is published."""

    async def work(session: AsyncSession) -> Answer:
        row = await _service(parts, caller, session).create(body)
        headers = {"Location": f"/api/v1/handoffs/{row.id}", "ETag": entity_tag(row.revision)}
        return Answer(HandoffShown.model_validate(row), headers=headers)

    return await once(work)


@guarded(router.get, "/{handoffId:uuid}", "handoffs:read", errors=(404,))
async def handoff(parts: Parts, caller: CallerDep, handoff_id: HandoffId, response: Response) -> HandoffShown:
    """One handoff."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).get(handoff_id)
    return _tagged(row, response)


@guarded(router.patch, "/{handoffId:uuid}", "handoffs:write", errors=(404, 412, 428))
async def change(
    parts: Parts,
    caller: CallerDep,
    handoff_id: HandoffId,
    body: HandoffChange,
    response: Response,
    if_match: IfMatch = None,
) -> HandoffShown:
    """Change its condition. Calls get the change when the agent is published again."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).change(handoff_id, body, if_match)
    return _tagged(row, response)


@guarded(router.delete, "/{handoffId:uuid}", "handoffs:write", status_code=204, response_class=Response, errors=(404,))
async def delete(parts: Parts, caller: CallerDep, handoff_id: HandoffId) -> None:
    """Take it away. Calls keep it until the agent is published again."""
    async with parts.database.organization(caller.organization_id) as session:
        await _service(parts, caller, session).delete(handoff_id)


@guarded(router.post, "/{handoffId:uuid}/test", "agents:chat", errors=(404, 409, 502))
async def test(parts: Parts, caller: CallerDep, handoff_id: HandoffId, body: HandoffTestGiven) -> HandoffTestShown:
    """Say something to the agent's draft, and see whether it hands over. Its tools really run."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).get(handoff_id)
        agents = AgentService(session, caller, parts.publisher, parts.clock)
        snapshot = await agents.draft(row.from_agent_id)
        target = (await agents.snapshot(row.to_agent_id)).name if row.to_agent_id else row.to_number or ""
    return await try_handoff(parts, snapshot, snapshot_of_handoff(row), target, body.text)


def _service(parts: ControlParts, caller: Caller, session: AsyncSession) -> HandoffService:
    return HandoffService(session, caller, parts.clock)


def _tagged(row: Handoff, response: Response) -> HandoffShown:
    response.headers["ETag"] = entity_tag(row.revision)
    return HandoffShown.model_validate(row)
