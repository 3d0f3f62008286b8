"""``POST /agents/{id}/chat``: an agent, in writing."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from control_api.agents.service import AgentService
from control_api.chat.exchange import Exchange
from control_api.chat.keeping import ChatKeeping, unstored
from control_api.chat.paying import set_aside
from control_api.chat.schemas import ChatGiven
from control_api.chat.streaming import EventStream
from control_api.operations import CallerDep, guarded
from control_api.parts import Parts
from control_api.wire import event_stream

router = APIRouter(prefix="/agents", tags=["agents"])

AgentId = Annotated[UUID, Path(alias="agentId")]
_EVENTS = event_stream("Events.")


@guarded(
    router.post,
    "/{agentId:uuid}/chat",
    "agents:chat",
    errors=(402, 404, 409),
    response_class=Response,
    responses=_EVENTS,
)
async def chat(parts: Parts, caller: CallerDep, agent_id: AgentId, body: ChatGiven) -> Response:
    """Say something to the agent. Its answer comes as Server-Sent Events, those of calls: `reply.started`, `reply.text`
    (pieces that joined by a space are the reply), `tool.started`, `tool.finished`, `handoff`, `usage`, then
    `reply.finished` or `error`. Their `sessionId` is the conversation's id. A client that leaves stops the agent."""
    now = parts.clock.utc()
    async with parts.database.organization(caller.organization_id) as session:
        service = AgentService(session, caller, parts.publisher, parts.clock)
        draft = body.version == "draft"
        snapshot = await (service.draft(agent_id) if draft else service.snapshot(agent_id))
        begun = unstored()
        if body.store:
            begun = await ChatKeeping(session, caller, now).begin(snapshot, body.conversation_id, body.text)
        await set_aside(parts, session, caller, snapshot, begun, now)
    exchange = Exchange(parts, caller, snapshot, begun, body.text, now)
    return EventStream(exchange.events())
