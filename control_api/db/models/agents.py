"""Agents, what was published of them, and what belongs to them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import (
    AGENT_STATUS,
    NEW_ID,
    NOW,
    RUN_STATUS,
    AgentStatus,
    Json,
    Model,
    RunStatus,
    Timestamp,
)


class Agent(Model):
    __tablename__ = "agents"

    __table_args__ = (Index("agents_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String(100))
    status: Mapped[AgentStatus] = mapped_column(AGENT_STATUS, server_default="draft")
    configuration: Mapped[Json] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    published_version: Mapped[int | None] = mapped_column(Integer)
    created_by: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class AgentVersion(Model):
    __tablename__ = "agent_versions"

    __table_args__ = (Index("agent_versions_organization_id_idx", "organization_id"),)

    agent_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("agents.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    configuration: Mapped[Json] = mapped_column(JSONB)
    note: Mapped[str] = mapped_column(String(500), server_default="")
    created_by: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class AgentMetadata(Model):
    __tablename__ = "agent_metadata"

    __table_args__ = (Index("agent_metadata_organization_id_idx", "organization_id"),)

    agent_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("agents.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    icon: Mapped[str] = mapped_column(Text, server_default="")
    category: Mapped[str] = mapped_column(String(50), server_default="")
    listed: Mapped[bool] = mapped_column(Boolean, server_default="false")
    conversations: Mapped[int] = mapped_column(BigInteger, server_default="0")
    last_call_at: Mapped[datetime | None] = mapped_column(Timestamp)


class AgentRun(Model):
    __tablename__ = "agent_runs"

    __table_args__ = (
        Index("agent_runs_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("agent_runs_agent_id_created_at_idx", "agent_id", "created_at"),
        Index("agent_runs_conversation_id_idx", "conversation_id"),
        Index("agent_runs_status_created_at_idx", "status", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    agent_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("agents.id", ondelete="CASCADE", onupdate="CASCADE"))
    conversation_id: Mapped[UUID | None] = mapped_column(Uuid)
    status: Mapped[RunStatus] = mapped_column(RUN_STATUS, server_default="queued")
    input: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    output: Mapped[Json | None] = mapped_column(JSONB)
    error: Mapped[str] = mapped_column(Text, server_default="")
    cost_micro: Mapped[int] = mapped_column(BigInteger, server_default="0")
    started_at: Mapped[datetime | None] = mapped_column(Timestamp)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Tool(Model):
    __tablename__ = "tools"

    __table_args__ = (
        Index("tools_organization_id_name_key", "organization_id", "name", unique=True),
        Index("tools_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("tools_agent_id_idx", "agent_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    agent_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("agents.id", ondelete="CASCADE", onupdate="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text, server_default="")
    parameters: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    configuration: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Handoff(Model):
    __tablename__ = "handoffs"

    __table_args__ = (
        Index("handoffs_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("handoffs_from_agent_id_idx", "from_agent_id"),
        Index("handoffs_to_agent_id_idx", "to_agent_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    from_agent_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("agents.id", ondelete="CASCADE", onupdate="CASCADE"))
    to_agent_id: Mapped[UUID | None] = mapped_column(
        Uuid, ForeignKey("agents.id", ondelete="CASCADE", onupdate="CASCADE")
    )
    to_number: Mapped[str | None] = mapped_column(String(20))
    condition: Mapped[str] = mapped_column(Text, server_default="")
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Workflow(Model):
    __tablename__ = "workflows"

    __table_args__ = (Index("workflows_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String(100))
    definition: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    revision: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class WorkflowRun(Model):
    __tablename__ = "workflow_runs"

    __table_args__ = (
        Index("workflow_runs_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("workflow_runs_workflow_id_created_at_idx", "workflow_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    workflow_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("workflows.id", ondelete="CASCADE", onupdate="CASCADE"))
    status: Mapped[RunStatus] = mapped_column(RUN_STATUS, server_default="queued")
    state: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    started_at: Mapped[datetime | None] = mapped_column(Timestamp)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
