"""Chats in the tables of conversations: what was said before, what is said now. In the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.chat.telling import Telling, ToolCall
from control_api.conversations.story import storable
from control_api.db.models.conversations import Conversation, ConversationTurn
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.problems import Problem, missing
from pipeline.ports import Message
from sessions.agents import AgentSnapshot

TRANSPORT: Final = "chat"
LONGEST_S: Final = 60.0
"""An answer takes no longer."""
_ABANDONED: Final = timedelta(seconds=2 * LONGEST_S)
"""A chat that has been answering for so long lost its process."""
_REMEMBERED: Final = 50
"""Turns that an agent is reminded of."""
_MOST_TURNS: Final = 1_000

Outcome = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Begun:
    """A turn that is to be answered."""

    conversation_id: UUID
    turn: int
    last_seq: int = 0
    history: Sequence[Message] = ()
    agent: str = ""
    """Who holds the conversation; empty: whoever takes calls."""
    stored: bool = True


def unstored() -> Begun:
    """A turn that nobody keeps."""
    return Begun(uuid4(), 1, stored=False)


class ChatKeeping:
    def __init__(self, session: AsyncSession, caller: Caller, now: datetime) -> None:
        self._session, self._caller, self._now = session, caller, now

    async def begin(self, snapshot: AgentSnapshot, conversation_id: UUID | None, text: str) -> Begun:
        """Note what the user says.

        Raises:
            Problem: ``not_found``; ``conflict``, it is no chat with this agent, or an answer is being given.
        """
        row = await self._new(snapshot) if conversation_id is None else await self._known(conversation_id, snapshot)
        turns = await self._turns(row.id)
        number = row.turns_count + 1
        self._session.add(
            ConversationTurn(
                conversation_id=row.id,
                turn=number,
                organization_id=row.organization_id,
                user_text=text,
                user_source="text",
                user_at=self._now,
            )
        )
        row.status, row.ended_at, row.ended_reason = "active", None, ""
        row.turns_count, row.updated_at, row.revision = number, self._now, row.revision + 1
        speakers = [turn.agent_name for turn in turns if turn.agent_name]
        return Begun(row.id, number, row.last_seq, _history(turns), speakers[-1] if speakers else "")

    async def end(self, begun: Begun, telling: Telling, outcome: Outcome) -> None:
        """Note what the agent said. A conversation that was erased meanwhile stays erased."""
        row = await Repository(self._session, self._caller.organization_id, Conversation).get(
            begun.conversation_id, lock=True
        )
        turn = await self._session.get(ConversationTurn, (begun.conversation_id, begun.turn))
        if row is None or row.status == "erased" or turn is None:
            return
        turn.agent_name, turn.agent_generated = storable(telling.agent[:100]), storable(telling.text)
        turn.agent_text = turn.agent_generated
        turn.agent_state = "finished" if outcome == "finished" else "interrupted"
        turn.agent_at = turn.agent_ended_at = self._now
        turn.tools = [_tool(call) for call in telling.tools]
        row.status = "failed" if outcome == "failed" else "ended"
        row.ended_at, row.ended_reason = self._now, storable(telling.ended or outcome)[:100]
        row.last_seq, row.updated_at, row.revision = telling.seq, self._now, row.revision + 1
        row.interruptions += outcome == "interrupted"
        row.failures += outcome == "failed"
        row.transcript = [*row.transcript, *_lines(turn)]

    async def _new(self, snapshot: AgentSnapshot) -> Conversation:
        row = Conversation(
            organization_id=self._caller.organization_id,
            user_id=self._caller.user_id,
            agent_id=UUID(snapshot.id),
            agent_version=snapshot.version or None,
            agent_name=snapshot.name,
            transport=TRANSPORT,
            started_at=self._now,
            last_seq=0,
            turns_count=0,
            interruptions=0,
            failures=0,
            revision=1,
            transcript=[],
        )
        self._session.add(row)
        await self._session.flush()
        return row

    async def _known(self, conversation_id: UUID, snapshot: AgentSnapshot) -> Conversation:
        row = await Repository(self._session, self._caller.organization_id, Conversation).get(
            conversation_id, lock=True
        )
        if row is None:
            raise missing("conversation")
        if row.transport != TRANSPORT or row.agent_id != UUID(snapshot.id) or row.status == "erased":
            raise Problem("conflict", "This conversation is no chat with this agent.")
        if row.status == "active" and self._now - row.updated_at < _ABANDONED:
            raise Problem("conflict", "An answer is being given; wait for it.")
        if row.turns_count >= _MOST_TURNS:
            raise Problem("conflict", f"A chat has at most {_MOST_TURNS} turns; begin another one.")
        return row

    async def _turns(self, conversation_id: UUID) -> list[ConversationTurn]:
        wanted = (
            select(ConversationTurn)
            .where(
                ConversationTurn.conversation_id == conversation_id,
                ConversationTurn.organization_id == self._caller.organization_id,
            )
            .order_by(ConversationTurn.turn.desc())
            .limit(_REMEMBERED)
        )
        return list(await self._session.scalars(wanted))[::-1]


def _history(turns: Iterable[ConversationTurn]) -> tuple[Message, ...]:
    return tuple(message for turn in turns for message in _messages(turn))


def _messages(turn: ConversationTurn) -> Iterable[Message]:
    yield Message("user", turn.user_text)
    for tool in turn.tools:
        if "callId" in tool:
            name, call_id = str(tool["name"]), str(tool["callId"])
            yield Message("tool_call", str(tool["arguments"]), name, call_id)
            yield Message("tool_result", str(tool["result"]), name, call_id)
    interrupted = turn.agent_state != "finished"
    yield Message("assistant", turn.agent_text, agent=turn.agent_name, interrupted=interrupted)


def _tool(call: ToolCall) -> dict[str, Any]:
    """As of a call, and what the agent must remember of it."""
    shown = {"name": storable(call.called.name), "ok": bool(call.returned and call.returned.ok)}
    remembered = {
        "callId": storable(call.called.call_id),
        "arguments": storable(call.called.arguments),
        "result": storable(call.returned.result) if call.returned else "",
    }
    return {**shown, "durationMs": call.duration_ms, **(remembered if call.returned else {})}


def _lines(turn: ConversationTurn) -> Iterable[dict[str, Any]]:
    sides = (("user", turn.user_text, turn.user_at), ("agent", turn.agent_text, turn.agent_at))
    for role, text, at in sides:
        if text and at is not None:
            yield {"turn": turn.turn, "role": role, "text": text, "at": at.isoformat()}
