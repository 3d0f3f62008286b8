"""What is read of conversations, and how one from elsewhere is kept. Every method works in the caller's transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.conversations.schemas import ConversationGiven
from control_api.conversations.transcript import Line
from control_api.db.models.agents import Agent
from control_api.db.models.conversations import Conversation, ConversationTurn
from control_api.db.models.model import ConversationStatus
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.paging import Paging
from control_api.problems import missing
from voicegate.kernel.clock import Clock


class ConversationService:
    def __init__(self, session: AsyncSession, caller: Caller, clock: Clock) -> None:
        self._session, self._caller, self._clock = session, caller, clock
        self._conversations = Repository(session, caller.organization_id, Conversation)

    async def page(
        self, paging: Paging, status: ConversationStatus | None, agent_id: UUID | None
    ) -> tuple[Sequence[Conversation], str | None]:
        """Newest first. Raises Problem: ``not_found``, the agent is unknown."""
        conditions: list[ColumnElement[bool]] = []
        if status is not None:
            conditions.append(Conversation.status == status)
        if agent_id is not None:
            await self._agent_name(agent_id)
            conditions.append(Conversation.agent_id == agent_id)
        return await self._conversations.page(paging, *conditions, at="started_at")

    async def get(self, conversation_id: UUID) -> Conversation:
        """Raises Problem: ``not_found``."""
        row = await self._conversations.get(conversation_id)
        if row is None:
            raise missing("conversation")
        return row

    async def turns(self, conversation_id: UUID) -> Sequence[ConversationTurn]:
        """In order."""
        ours = ConversationTurn.organization_id == self._caller.organization_id
        wanted = select(ConversationTurn).where(ConversationTurn.conversation_id == conversation_id, ours)
        return list(await self._session.scalars(wanted.order_by(ConversationTurn.turn)))

    async def create(self, given: ConversationGiven) -> Conversation:
        """Raises Problem: ``not_found``, the agent is unknown."""
        now = self._clock.utc()
        name = await self._agent_name(given.agent_id) if given.agent_id else ""
        times = [turn.at for turn in given.turns if turn.at is not None] or [now]
        row = Conversation(
            organization_id=self._caller.organization_id,
            user_id=self._caller.user_id,
            client_phone=given.client_phone,
            agent_id=given.agent_id,
            agent_name=name,
            transport="import",
            status="ended",
            turns_count=len(given.turns),
            tags=given.tags,
            transcript=_lines(given),
            started_at=min(times),
            ended_at=max(times),
        )
        self._session.add(row)
        await self._session.flush()
        for number, turn in enumerate(given.turns, 1):
            self._session.add(
                ConversationTurn(
                    conversation_id=row.id,
                    turn=number,
                    organization_id=row.organization_id,
                    user_text=turn.user_text,
                    user_source="import",
                    user_at=turn.at if turn.user_text else None,
                    agent_name=name,
                    agent_text=turn.agent_text,
                    agent_generated=turn.agent_text,
                    agent_state="finished" if turn.agent_text else "listening",
                    agent_at=turn.at if turn.agent_text else None,
                )
            )
        audit.record(self._session, self._caller, "conversation.imported", row.id)
        return row

    async def _agent_name(self, agent_id: UUID) -> str:
        agent = await Repository(self._session, self._caller.organization_id, Agent).get(agent_id)
        if agent is None:
            raise missing("agent")
        return agent.name


def lines_of(turns: Sequence[ConversationTurn]) -> list[Line]:
    """Both sides, in order; who said nothing is left out."""
    lines: list[Line] = []
    for turn in turns:
        if turn.user_text:
            lines.append(Line(turn.turn, "user", turn.user_text, turn.user_at))
        if turn.agent_text:
            interrupted = turn.agent_state == "interrupted"
            ended_at = turn.agent_ended_at
            lines.append(
                Line(turn.turn, "agent", turn.agent_text, turn.agent_at, ended_at, turn.agent_name, interrupted)
            )
    return lines


def _lines(given: ConversationGiven) -> list[dict[str, Any]]:
    return [
        {"turn": number, "role": role, "text": text, "at": turn.at.isoformat() if turn.at else None}
        for number, turn in enumerate(given.turns, 1)
        for role, text in (("user", turn.user_text), ("agent", turn.agent_text))
        if text
    ]
