"""``/conversations``: what was said, how long it took, and what happens now."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.conversations.live import stream
from control_api.conversations.schemas import (
    ConversationGiven,
    ConversationShown,
    ConversationSummary,
    LatencyShown,
    LatencyTimeline,
    LineShown,
    TranscriptShown,
    TurnShown,
)
from control_api.conversations.service import ConversationService, lines_of
from control_api.conversations.transcript import to_text, to_webvtt
from control_api.db.models.conversations import Conversation, ConversationTurn
from control_api.db.models.model import ConversationStatus
from control_api.identity.caller import Caller
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import ControlParts, Parts
from control_api.wire import Page, event_stream
from voicegate.kernel.ids import SessionId

router = APIRouter(prefix="/conversations", tags=["conversations"])

ConversationId = Annotated[UUID, Path(alias="conversationId")]

_TEXTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The transcript.",
        "model": TranscriptShown,
        "content": {"text/plain": {"schema": {"type": "string"}}, "text/vtt": {"schema": {"type": "string"}}},
    }
}
_EVENTS = event_stream("Events.")


@guarded(router.get, "", "conversations:read", errors=(404,))
async def conversations(
    parts: Parts,
    caller: CallerDep,
    paging: PagingDep,
    status: Annotated[ConversationStatus | None, Query(description="Only those in this state.")] = None,
    agent_id: Annotated[UUID | None, Query(alias="agentId", description="Only those with this agent.")] = None,
) -> Page[ConversationSummary]:
    """All conversations, newest first. A call is in it as soon as it has begun."""
    async with parts.database.organization(caller.organization_id) as session:
        rows, following = await _service(parts, caller, session).page(paging, status, agent_id)
    return Page(items=[ConversationSummary.model_validate(row) for row in rows], next_cursor=following)


@guarded(
    router.post,
    "",
    "conversations:write",
    status_code=201,
    response_model=ConversationShown,
    errors=(404, 409),
)
async def create(parts: Parts, caller: CallerDep, body: ConversationGiven, once: OnceDep) -> Response:
    """Keep a conversation that was held elsewhere. Calls through the gateway are kept by themselves."""

    async def work(session: AsyncSession) -> Answer:
        service = _service(parts, caller, session)
        row = await service.create(body)
        await session.flush()
        shown = _shown(row, list(await service.turns(row.id)))
        return Answer(shown, headers={"Location": f"/api/v1/conversations/{row.id}"}, about=row.id)

    return await once(work)


@guarded(router.get, "/{conversationId:uuid}", "conversations:read", errors=(404,))
async def conversation(parts: Parts, caller: CallerDep, conversation_id: ConversationId) -> ConversationShown:
    """One conversation with its turns, while it goes on too."""
    async with parts.database.organization(caller.organization_id) as session:
        service = _service(parts, caller, session)
        row = await service.get(conversation_id)
        turns = list(await service.turns(conversation_id))
    return _shown(row, turns)


@guarded(
    router.get,
    "/{conversationId:uuid}/transcript",
    "conversations:read",
    errors=(404,),
    response_model=None,
    responses=_TEXTS,
)
async def transcript(
    parts: Parts,
    caller: CallerDep,
    conversation_id: ConversationId,
    form: Annotated[Literal["json", "text", "vtt"], Query(alias="format")] = "json",
) -> Response:
    """What was said and heard: as JSON, as text, or as WebVTT for a player."""
    async with parts.database.organization(caller.organization_id) as session:
        service = _service(parts, caller, session)
        row = await service.get(conversation_id)
        lines = lines_of(await service.turns(conversation_id))
    match form:
        case "text":
            return Response(to_text(lines), media_type="text/plain")
        case "vtt":
            return Response(to_webvtt(lines, row.started_at), media_type="text/vtt")
        case "json":
            shown = TranscriptShown(conversation_id=row.id, lines=[LineShown.model_validate(line) for line in lines])
            return Response(shown.model_dump_json(), media_type="application/json")


@guarded(router.get, "/{conversationId:uuid}/latency", "conversations:read", errors=(404,))
async def latency(parts: Parts, caller: CallerDep, conversation_id: ConversationId) -> LatencyTimeline:
    """How long the caller waited in each turn, measured on the audio, and for what."""
    async with parts.database.organization(caller.organization_id) as session:
        service = _service(parts, caller, session)
        await service.get(conversation_id)
        turns = await service.turns(conversation_id)
    measured = [turn for turn in turns if turn.voice_to_voice_ms is not None]
    return LatencyTimeline(conversation_id=conversation_id, turns=[_latency(turn) for turn in measured])


@guarded(
    router.get,
    "/{conversationId:uuid}/events",
    "conversations:read",
    errors=(404,),
    response_class=StreamingResponse,
    responses=_EVENTS,
)
async def events(
    parts: Parts,
    caller: CallerDep,
    conversation_id: ConversationId,
    last_event_id: Annotated[
        str | None, Header(pattern=r"^\d{1,15}$", description="The last event that was seen; later ones follow.")
    ] = None,
) -> StreamingResponse:
    """Server-Sent Events of the call until it ends. They are kept for a day after it."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await _service(parts, caller, session).get(conversation_id)
    after = int(last_event_id or 0)
    body = stream(parts.store, SessionId(row.session_id or ""), after, parts.clock, parts.conditions)
    return StreamingResponse(body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _service(parts: ControlParts, caller: Caller, session: AsyncSession) -> ConversationService:
    return ConversationService(session, caller, parts.clock)


def _shown(row: Conversation, turns: list[ConversationTurn]) -> ConversationShown:
    summary = ConversationSummary.model_validate(row).model_dump()
    return ConversationShown(**summary, context=row.context, turns=[TurnShown.model_validate(turn) for turn in turns])


def _latency(turn: ConversationTurn) -> LatencyShown:
    return LatencyShown(
        turn=turn.turn,
        at=turn.agent_at,
        voice_to_voice_ms=turn.voice_to_voice_ms or 0.0,
        endpointing_ms=turn.endpointing_ms,
        stt_ms=turn.stt_ms,
        agent_ms=turn.agent_ms,
        tts_ms=turn.tts_ms,
        playout_ms=turn.playout_ms,
    )
