"""``/agent-runs``: agents that are asked once, in the background."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.agent_runs.asking import ask, beginning
from control_api.agent_runs.schemas import RunGiven, RunShown, run_shown
from control_api.agents.service import AgentService
from control_api.chat.paying import set_aside
from control_api.db.models.agents import Agent, AgentRun
from control_api.db.models.model import RunStatus
from control_api.db.repository import Repository
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import Parts
from control_api.problems import Problem, missing
from control_api.wire import Page
from sessions.agents import AgentSnapshot

router = APIRouter(prefix="/agent-runs", tags=["agent-runs"])

RunId = Annotated[UUID, Path(alias="runId")]
_COME_AGAIN_S = 5.0


@guarded(router.get, "", "agent-runs:read", errors=(404,))
async def agent_runs(
    parts: Parts,
    caller: CallerDep,
    paging: PagingDep,
    agent_id: Annotated[UUID | None, Query(alias="agentId", description="Only those of this agent.")] = None,
    status: Annotated[RunStatus | None, Query(description="Only those in this state.")] = None,
) -> Page[RunShown]:
    """All runs, newest first."""
    conditions: list[ColumnElement[bool]] = []
    async with parts.database.organization(caller.organization_id) as session:
        if agent_id is not None:
            if await Repository(session, caller.organization_id, Agent).get(agent_id) is None:
                raise missing("agent")
            conditions.append(AgentRun.agent_id == agent_id)
        if status is not None:
            conditions.append(AgentRun.status == status)
        rows, following = await Repository(session, caller.organization_id, AgentRun).page(paging, *conditions)
    return Page(items=[run_shown(row) for row in rows], next_cursor=following)


@guarded(router.post, "", "agent-runs:create", status_code=201, response_model=RunShown, errors=(402, 404, 409))
async def create(parts: Parts, caller: CallerDep, body: RunGiven, once: OnceDep) -> Response:
    """Ask a published agent once, in writing. It answers in the background: look again until it has `succeeded` or
    `failed`. Its tools really run, and it costs credits."""
    if parts.runner.is_full:
        raise Problem("rate_limited", "So many runs wait already.", retry_after_s=_COME_AGAIN_S)
    made: list[tuple[UUID, AgentSnapshot]] = []

    async def work(session: AsyncSession) -> Answer:
        snapshot = await AgentService(session, caller, parts.publisher, parts.clock).snapshot(body.agent_id)
        row = AgentRun(
            organization_id=caller.organization_id,
            agent_id=body.agent_id,
            input={"text": body.text, "version": snapshot.version},
        )
        session.add(row)
        await session.flush()
        await session.refresh(row)
        await set_aside(parts, session, caller, snapshot, beginning(row.id), parts.clock.utc())
        audit.record(session, caller, "agent-run.created", row.id)
        made.append((row.id, snapshot))
        return Answer(run_shown(row), headers={"Location": f"/api/v1/agent-runs/{row.id}"})

    answer = await once(work)
    for run_id, snapshot in made:
        parts.runner.start(run_id, partial(ask, parts, caller, snapshot, run_id, body.text))
    return answer


@guarded(router.get, "/{runId:uuid}", "agent-runs:read", errors=(404,))
async def agent_run(parts: Parts, caller: CallerDep, run_id: RunId) -> RunShown:
    """One run."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await Repository(session, caller.organization_id, AgentRun).get(run_id)
    if row is None:
        raise missing("run")
    return run_shown(row)
