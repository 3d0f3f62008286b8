"""What is done with a conversation once it was held: tags, feedback, and the erasure of its words."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.conversations.erasing import erase_words
from control_api.conversations.schemas import ErasedShown, FeedbackGiven, FeedbackShown, TagsGiven, TagsShown
from control_api.conversations.service import ConversationService
from control_api.db.models.conversations import Conversation, ConversationFeedback
from control_api.db.repository import Repository
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import Parts
from control_api.problems import Problem, missing
from control_api.wire import Page

router = APIRouter(prefix="/conversations", tags=["conversations"])

ConversationId = Annotated[UUID, Path(alias="conversationId")]


@guarded(router.put, "/{conversationId:uuid}/tags", "conversations:write", errors=(404,))
async def set_tags(parts: Parts, caller: CallerDep, conversation_id: ConversationId, body: TagsGiven) -> TagsShown:
    """Give it these tags, in place of those it had. Each counts once; their order is kept."""
    tags = list(dict.fromkeys(tag.strip() for tag in body.tags))
    async with parts.database.organization(caller.organization_id) as session:
        row = await Repository(session, caller.organization_id, Conversation).get(conversation_id, lock=True)
        if row is None:
            raise missing("conversation")
        if row.tags != tags:
            row.tags, row.revision, row.updated_at = tags, row.revision + 1, parts.clock.utc()
            audit.record(session, caller, "conversation.tagged", conversation_id, {"tags": len(tags)})
    return TagsShown(conversation_id=conversation_id, tags=tags)


@guarded(
    router.post,
    "/{conversationId:uuid}/feedback",
    "conversations:write",
    status_code=201,
    response_model=FeedbackShown,
    errors=(404, 409),
)
async def give_feedback(
    parts: Parts, caller: CallerDep, conversation_id: ConversationId, body: FeedbackGiven, once: OnceDep
) -> Response:
    """Say what you think of it, or of one of its turns."""

    async def work(session: AsyncSession) -> Answer:
        # Locked, so that words which come while it is erased are refused or erased with it.
        row = await Repository(session, caller.organization_id, Conversation).get(conversation_id, lock=True)
        if row is None:
            raise missing("conversation")
        if row.erased_at is not None:
            raise Problem("erased", "There is nothing left to say anything about.")
        given = ConversationFeedback(
            organization_id=caller.organization_id,
            conversation_id=conversation_id,
            turn=body.turn,
            rating=body.rating,
            text=body.text,
            user_id=caller.user_id,
            created_at=parts.clock.utc(),
        )
        session.add(given)
        await session.flush()
        return Answer(FeedbackShown.model_validate(given), about=conversation_id)

    return await once(work)


@guarded(router.get, "/{conversationId:uuid}/feedback", "conversations:read", errors=(404,))
async def feedback(
    parts: Parts, caller: CallerDep, conversation_id: ConversationId, paging: PagingDep
) -> Page[FeedbackShown]:
    """What was said about it, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        await ConversationService(session, caller, parts.clock).get(conversation_id)
        given = Repository(session, caller.organization_id, ConversationFeedback)
        rows, following = await given.page(paging, ConversationFeedback.conversation_id == conversation_id)
    return Page(items=[FeedbackShown.model_validate(row) for row in rows], next_cursor=following)


@guarded(router.post, "/{conversationId:uuid}/erase", "conversations:erase", errors=(404, 409))
async def erase(parts: Parts, caller: CallerDep, conversation_id: ConversationId) -> ErasedShown:
    """Erase what was said and who called, for good. What it cost, how many turns it had and how long they took stays.
    A call that is going on is refused; end it first."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await Repository(session, caller.organization_id, Conversation).get(conversation_id, lock=True)
        if row is None:
            raise missing("conversation")
        erased_at = await erase_words(session, parts.store, row, parts.clock.utc())
        audit.record(session, caller, "conversation.erased", conversation_id)
    await parts.answers.forget(caller.organization_id)
    return ErasedShown(conversation_id=conversation_id, erased_at=erased_at)
