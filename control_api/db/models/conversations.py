"""Conversations and their turns."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, String, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import (
    CONVERSATION_STATUS,
    NEW_ID,
    NOW,
    TURN_STATE,
    ConversationStatus,
    Json,
    Model,
    Timestamp,
    TurnState,
)


class Conversation(Model):
    __tablename__ = "conversations"

    __table_args__ = (
        Index("conversations_organization_id_started_at_id_idx", "organization_id", "started_at", "id"),
        Index(
            "conversations_organization_id_status_started_at_id_idx", "organization_id", "status", "started_at", "id"
        ),
        Index("conversations_agent_id_started_at_idx", "agent_id", "started_at"),
        Index("conversations_session_id_key", "session_id", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    client_phone: Mapped[str | None] = mapped_column(String(20))
    transcript: Mapped[Json] = mapped_column(JSONB, server_default="[]")
    status: Mapped[ConversationStatus] = mapped_column(CONVERSATION_STATUS, server_default="active")
    session_id: Mapped[str | None] = mapped_column(String(64))
    agent_id: Mapped[UUID | None] = mapped_column(
        Uuid, ForeignKey("agents.id", ondelete="SET NULL", onupdate="CASCADE")
    )
    agent_version: Mapped[int | None] = mapped_column(Integer)
    agent_name: Mapped[str] = mapped_column(String(100), server_default="")
    transport: Mapped[str] = mapped_column(String(50), server_default="")
    ended_reason: Mapped[str] = mapped_column(String(100), server_default="")
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    turns_count: Mapped[int] = mapped_column(Integer, server_default="0")
    interruptions: Mapped[int] = mapped_column(Integer, server_default="0")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("ARRAY[]::text[]"), nullable=True)
    context: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    started_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    erased_at: Mapped[datetime | None] = mapped_column(Timestamp)


class ConversationFeedback(Model):
    __tablename__ = "conversation_feedback"

    __table_args__ = (
        Index("conversation_feedback_conversation_id_created_at_id_idx", "conversation_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    conversation_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("conversations.id", ondelete="CASCADE", onupdate="CASCADE")
    )
    turn: Mapped[int | None] = mapped_column(Integer)
    rating: Mapped[int | None] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text, server_default="")
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class ConversationTurn(Model):
    __tablename__ = "conversation_turns"

    __table_args__ = (Index("conversation_turns_organization_id_idx", "organization_id"),)

    conversation_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("conversations.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    turn: Mapped[int] = mapped_column(Integer, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    user_text: Mapped[str] = mapped_column(Text, server_default="")
    user_source: Mapped[str] = mapped_column(String(20), server_default="")
    user_at: Mapped[datetime | None] = mapped_column(Timestamp)
    agent_name: Mapped[str] = mapped_column(String(100), server_default="")
    agent_text: Mapped[str] = mapped_column(Text, server_default="")
    agent_generated: Mapped[str] = mapped_column(Text, server_default="")
    agent_state: Mapped[TurnState] = mapped_column(TURN_STATE, server_default="listening")
    agent_at: Mapped[datetime | None] = mapped_column(Timestamp)
    agent_ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    tools: Mapped[Json] = mapped_column(JSONB, server_default="[]")
    voice_to_voice_ms: Mapped[float | None] = mapped_column(Double)
    endpointing_ms: Mapped[float | None] = mapped_column(Double)
    stt_ms: Mapped[float | None] = mapped_column(Double)
    agent_ms: Mapped[float | None] = mapped_column(Double)
    tts_ms: Mapped[float | None] = mapped_column(Double)
    playout_ms: Mapped[float | None] = mapped_column(Double)
