"""Writes stories to the database: all that changed in one transaction, a few statements for any number of calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.analytics.tally import Tally
from control_api.conversations.story import Story, storable
from control_api.credits.meter import Meter
from control_api.db.models.agents import Agent
from control_api.db.models.conversations import Conversation, ConversationTurn
from sessions.model import SessionRecord

_TURN_KEY = ("conversation_id", "turn", "organization_id")
_CALLER_FACTS = ("caller", "from", "client_phone")
"""Facts of a call that are its caller's number, the best first."""
_MOST_PHONE_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Belongs:
    """Whose a call is."""

    organization_id: UUID
    agent_id: UUID | None
    agent_version: int | None


@dataclass(slots=True)
class Kept:
    """A call that is followed."""

    session_id: str
    belongs: Belongs
    created_at: datetime
    client_phone: str | None
    story: Story
    meter: Meter = field(default_factory=Meter)
    tally: Tally = field(default_factory=Tally)
    unseen_s: float = 0.0
    """How long nobody has held it."""
    is_new: bool = True
    """We have not written it yet."""


def client_phone(record: SessionRecord) -> str | None:
    """The caller's number, if he has one that fits."""
    for name in _CALLER_FACTS:
        number = record.context.get(name, "")
        if number:
            return storable(number)[:_MOST_PHONE_CHARACTERS]
    return None


async def find_agent(session: AsyncSession, agent_id: UUID) -> Belongs | None:
    """Whose agent it is."""
    row = await session.scalar(select(Agent).where(Agent.id == agent_id))
    return Belongs(row.organization_id, row.id, row.published_version) if row else None


async def keep(session: AsyncSession, calls: Sequence[Kept], now: datetime) -> dict[str, UUID]:
    """Write what changed. A state that is older than what is stored is not written.

    Returns the conversations' ids by session id, of those that were written.
    """
    for call in calls:
        if call.is_new:
            await _let_go_of_earlier(session, call)
    ids = await _write_conversations(session, [_conversation(call, now) for call in calls])
    rows = [
        {"conversation_id": ids[call.session_id], "organization_id": call.belongs.organization_id, **columns}
        for call in calls
        if call.session_id in ids
        for columns in call.story.changed_turns()
    ]
    if rows:
        await _write_turns(session, rows)
    return ids


async def _let_go_of_earlier(session: AsyncSession, call: Kept) -> None:
    """A client may use one session id again and again: the newest call has it, earlier ones are known by their own."""
    earlier = (Conversation.session_id == call.session_id, Conversation.started_at < call.created_at)
    await session.execute(update(Conversation).where(*earlier).values(session_id=None))


def _conversation(call: Kept, now: datetime) -> dict[str, Any]:
    story = call.story
    return {
        "organization_id": call.belongs.organization_id,
        "session_id": call.session_id,
        "client_phone": call.client_phone,
        "agent_id": call.belongs.agent_id,
        "agent_version": call.belongs.agent_version,
        "agent_name": storable(story.agent_name),
        "transport": storable(story.transport),
        "status": story.status,
        "transcript": story.lines() if story.ended_at else [],
        "ended_reason": storable(story.ended_reason),
        "last_seq": story.last_seq,
        "turns_count": story.turns_count(),
        "interruptions": story.interruptions,
        "failures": story.failures,
        "started_at": call.created_at,
        "ended_at": story.ended_at,
        "updated_at": now,
    }


async def _write_conversations(session: AsyncSession, rows: list[dict[str, Any]]) -> dict[str, UUID]:
    """Ids by session id, of those that were written: erased ones and newer ones are left alone."""
    statement = insert(Conversation)
    new = statement.excluded
    fixed = ("organization_id", "session_id", "started_at", "agent_id", "agent_version", "client_phone")
    changes: dict[str, Any] = {name: new[name] for name in rows[0] if name not in fixed}
    changes["revision"] = Conversation.revision + case((Conversation.last_seq < new.last_seq, 1), else_=0)
    upsert = statement.on_conflict_do_update(
        index_elements=[Conversation.session_id],
        set_=changes,
        where=(Conversation.last_seq <= new.last_seq) & (Conversation.status != "erased"),
    ).returning(Conversation.session_id, Conversation.id)
    written = await session.execute(upsert, rows, execution_options={"render_nulls": True})
    return {str(session_id): row_id for session_id, row_id in written}


async def _write_turns(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    statement = insert(ConversationTurn)
    changes = {name: statement.excluded[name] for name in rows[0] if name not in _TURN_KEY}
    key = [ConversationTurn.conversation_id, ConversationTurn.turn]
    upsert = statement.on_conflict_do_update(index_elements=key, set_=changes)
    await session.execute(upsert, rows, execution_options={"render_nulls": True})


async def progress(session: AsyncSession, session_ids: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """How far these calls are stored: the last event, and whether they are over."""
    wanted = select(
        Conversation.session_id, func.coalesce(Conversation.last_seq, 0), Conversation.status != "active"
    ).where(Conversation.session_id.in_(session_ids))
    return {str(row[0]): (int(row[1]), bool(row[2])) for row in await session.execute(wanted)}
