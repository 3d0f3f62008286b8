"""Takes the words out of a conversation, wherever they are kept: database and Redis.

Redis goes first: if it is away nothing has happened, and if the database fails afterwards the repetition finds less to
do. A consumer that has read the call before leaves it alone from then on: it never writes to what is ``erased``
(:mod:`control_api.conversations.keeping`).
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.db.models.agents import AgentRun
from control_api.db.models.bookkeeping import IdempotencyKey
from control_api.db.models.conversations import Conversation, ConversationFeedback, ConversationTurn
from control_api.problems import Problem
from sessions.store import Store
from voicegate.kernel.ids import SessionId

_TOOLS_WITHOUT_WORDS = text(
    "(SELECT coalesce(jsonb_agg(tool - 'callId' - 'arguments' - 'result'), '[]'::jsonb)"
    " FROM jsonb_array_elements(tools) AS tool)"
)
_NO_WORDS = {"user_text": "", "agent_text": "", "agent_generated": "", "tools": _TOOLS_WITHOUT_WORDS}

_BLANK: Final[Mapping[str, Any]] = {"userText": "", "agentText": "", "text": "", "context": {}, "clientPhone": None}


def without_words(body: bytes) -> bytes:
    """An answer about a conversation, as JSON, without what was said and who called."""
    return json.dumps(_blank(json.loads(body)), separators=(",", ":")).encode()


def _blank(value: Any) -> Any:
    match value:
        case dict():
            return {name: _BLANK[name] if name in _BLANK else _blank(each) for name, each in value.items()}
        case list():
            return [_blank(each) for each in value]
        case _:
            return value


async def erase_words(session: AsyncSession, store: Store, row: Conversation, now: datetime) -> datetime:
    """Erase ``row``, which is locked; returns since when it is erased.

    Raises:
        Problem: ``conflict``, its call is going on.
        StateUnavailable: Redis is away; nothing was erased.
    """
    if row.erased_at is not None:
        return row.erased_at
    if row.status == "active":
        raise Problem("conflict", "Its call is going on: end it first.")
    if row.session_id is not None and not await store.erase(SessionId(row.session_id), row.started_at):
        raise Problem("conflict", "Its call is going on again: end it first.")
    ours = ConversationTurn.organization_id == row.organization_id
    await session.execute(
        update(ConversationTurn).where(ConversationTurn.conversation_id == row.id, ours).values(**_NO_WORDS)
    )
    about = (
        ConversationFeedback.conversation_id == row.id,
        ConversationFeedback.organization_id == row.organization_id,
    )
    await session.execute(update(ConversationFeedback).where(*about).values(text=""))
    runs = (AgentRun.conversation_id == row.id, AgentRun.organization_id == row.organization_id)
    await session.execute(update(AgentRun).where(*runs).values(input={}, output=None))
    # The answers that a repeated request would be given hold the words too.
    kept = (IdempotencyKey.about == row.id, IdempotencyKey.organization_id == row.organization_id)
    for answer in await session.scalars(select(IdempotencyKey).where(*kept)):
        if answer.body is not None:
            answer.body = without_words(answer.body)
    row.transcript, row.context, row.client_phone = [], {}, None
    row.status, row.erased_at, row.updated_at = "erased", now, now
    row.revision += 1
    return now
