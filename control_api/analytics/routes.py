"""``/analytics``: what calls add up to; and how one agent performs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from control_api.analytics.export import MEDIA, Export, Format, written
from control_api.analytics.live import figures
from control_api.analytics.period import Period, PeriodDep
from control_api.analytics.schemas import (
    Costs,
    Errors,
    Interruptions,
    LatencyReport,
    Performance,
    Summary,
    TimeSeries,
)
from control_api.analytics.service import AnalyticsService, Bucket
from control_api.identity.caller import Caller
from control_api.operations import CallerDep, guarded
from control_api.parts import ControlParts, Parts
from control_api.wire import event_stream

router = APIRouter(prefix="/analytics", tags=["analytics"])
performance_router = APIRouter(prefix="/agents", tags=["agents"])

READ = "analytics:read"
AgentFilter = Annotated[UUID | None, Query(alias="agentId", description="Only calls to this agent.")]
_STREAM = event_stream("Figures.")
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The calls.",
        "content": {media.partition(";")[0]: {"schema": {"type": "string"}} for media in MEDIA.values()},
    }
}


@guarded(router.get, "/summary", READ, errors=(404,))
async def summary(parts: Parts, caller: CallerDep, period: PeriodDep, agent_id: AgentFilter = None) -> Summary:
    """Calls, turns, interruptions, errors, cost and waiting, in all."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.summary()


@guarded(router.get, "/timeseries", READ, errors=(404,))
async def timeseries(
    parts: Parts, caller: CallerDep, period: PeriodDep, bucket: Bucket = "day", agent_id: AgentFilter = None
) -> TimeSeries:
    """The same by the hour (7 days at most) or by the day (92 days at most)."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.time_series(bucket)


@guarded(router.get, "/latency", READ, errors=(404,))
async def latency(parts: Parts, caller: CallerDep, period: PeriodDep, agent_id: AgentFilter = None) -> LatencyReport:
    """How long callers waited for answers, and for what."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.latency()


@guarded(router.get, "/interruptions", READ, errors=(404,))
async def interruptions(
    parts: Parts, caller: CallerDep, period: PeriodDep, agent_id: AgentFilter = None
) -> Interruptions:
    """How often agents were interrupted, why, and which."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.interruptions()


@guarded(router.get, "/errors", READ, errors=(404,))
async def errors(parts: Parts, caller: CallerDep, period: PeriodDep, agent_id: AgentFilter = None) -> Errors:
    """What went wrong in calls, and why they ended."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.errors()


@guarded(router.get, "/costs", READ, errors=(404,))
async def costs(parts: Parts, caller: CallerDep, period: PeriodDep, agent_id: AgentFilter = None) -> Costs:
    """What calls cost, by agent, stage, provider and day."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.costs()


@guarded(router.get, "/live", READ, response_class=StreamingResponse, responses=_STREAM)
async def live(
    parts: Parts,
    caller: CallerDep,
    seconds: Annotated[float, Query(ge=0, le=3600, description="How long; a client comes back by itself.")] = 3600,
) -> StreamingResponse:
    """Server-Sent Events, one a second: calls that run, turns of the last minute, how long their callers waited."""
    longest_s = min(seconds, parts.config.live_s)
    body = figures(parts.recent, caller.organization_id, parts.clock, longest_s)
    return StreamingResponse(body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@guarded(router.get, "/export", READ, errors=(404,), response_class=StreamingResponse, responses=_FILE)
async def export(
    parts: Parts,
    caller: CallerDep,
    period: PeriodDep,
    form: Annotated[Format, Query(alias="format")] = "csv",
    agent_id: AgentFilter = None,
) -> StreamingResponse:
    """The calls that began in the period, oldest first, as a file."""
    async with _service(parts, caller, period, agent_id):
        pass
    pages = Export(parts.database, caller.organization_id, period, agent_id)
    name = f"calls-{period.since}-{period.until}.{form}"
    body = written(form, await pages.page(), pages)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    return StreamingResponse(body, media_type=MEDIA[form], headers=headers)


@guarded(performance_router.get, "/{agentId:uuid}/performance", "agents:performance", errors=(404,))
async def performance(
    parts: Parts, caller: CallerDep, period: PeriodDep, agent_id: Annotated[UUID, Path(alias="agentId")]
) -> Performance:
    """How an agent does: calls, waiting, interruptions, errors and cost, by version."""
    async with _service(parts, caller, period, agent_id) as service:
        return await service.performance()


@asynccontextmanager
async def _service(
    parts: ControlParts, caller: Caller, period: Period, agent_id: UUID | None
) -> AsyncIterator[AnalyticsService]:
    async with parts.database.organization(caller.organization_id) as session:
        service = AnalyticsService(session, caller, period, agent_id)
        await service.known()
        yield service
