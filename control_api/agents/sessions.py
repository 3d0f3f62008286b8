"""``POST /agents/{id}/sessions``: everything that a client needs to call an agent."""

from typing import Annotated
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from fastapi import APIRouter, Path, Response
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.agents.schemas import SessionGiven, SessionMade
from control_api.agents.service import AgentService
from control_api.credits.orphans import TOKEN_LIFETIME_S
from control_api.credits.service import CreditService
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.parts import Parts
from voicegate.kernel.ids import new_session_id

router = APIRouter(prefix="/agents", tags=["agents"])

AgentId = Annotated[UUID, Path(alias="agentId")]


@guarded(
    router.post,
    "/{agentId:uuid}/sessions",
    "sessions:create",
    status_code=201,
    response_model=SessionMade,
    errors=(402, 404, 409),
)
async def begin_session(
    parts: Parts, caller: CallerDep, agent_id: AgentId, body: SessionGiven, once: OnceDep
) -> Response:
    """A session: addresses of the gateway, and a token that is good for one call within a minute. Credits for the call
    are set aside."""

    async def work(session: AsyncSession) -> Answer:
        service = AgentService(session, caller, parts.publisher, parts.clock)
        snapshot = await service.snapshot(agent_id)
        await parts.publisher.put(snapshot)  # Redis may have been replaced since it was published
        session_id = new_session_id()
        if parts.config.credits.enabled:
            credits_of = CreditService(session, caller, parts.config.credits)
            hold = await credits_of.hold(session_id, agent_id, parts.clock.utc())
            # Before the commit: without its budget a call would begin unlimited. Without the commit nobody gets the id.
            await parts.bookkeeper.telling.of_hold(session_id, caller.organization_id, hold.held_micro)
        http = urlsplit(parts.config.gateway_url.rstrip("/"))
        socket = http._replace(scheme="wss" if http.scheme == "https" else "ws", path=f"{http.path}/voice/{session_id}")
        silent = "" if body.greeting else "&greeting=false"
        whip = http._replace(path=f"{http.path}/whip", query=f"session={session_id}{silent}")
        made = SessionMade(
            session_id=session_id,
            agent_id=agent_id,
            agent_version=snapshot.version,
            token=parts.media_token(session_id, snapshot.id, TOKEN_LIFETIME_S),
            token_expires_in=TOKEN_LIFETIME_S,
            web_socket_url=urlunsplit(socket),
            whip_url=urlunsplit(whip),
            ice_servers=[dict(each) for each in parts.ice_servers(session_id)],
        )
        return Answer(made)

    return await once(work)
