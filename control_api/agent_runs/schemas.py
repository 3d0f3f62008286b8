"""JSON of agent runs."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from control_api.db.models.agents import AgentRun
from control_api.db.models.model import RunStatus
from control_api.wire import Given, Moment, Shown, Text


class RunGiven(Given):
    agent_id: UUID
    text: Annotated[Text, Field(min_length=1, max_length=20_000, description="What the agent is asked.")]


class ToolUsed(Shown):
    name: str
    ok: bool
    duration_ms: float


class RunOutput(Shown):
    text: str
    tools: list[ToolUsed]


class RunShown(Shown):
    """An agent that was asked once, in writing."""

    id: UUID
    agent_id: UUID
    agent_version: int | None = Field(description="What was published when it was asked.")
    status: RunStatus
    text: str
    output: RunOutput | None = Field(description="Null until it has succeeded.")
    error: str = Field(description="Code of what went wrong; `interrupted`: its process ended.")
    cost_micro: int
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None


def run_shown(row: AgentRun) -> RunShown:
    given: dict[str, Any] = row.input
    return RunShown(
        id=row.id,
        agent_id=row.agent_id,
        agent_version=given.get("version"),
        status=row.status,
        text=given.get("text", ""),
        output=RunOutput.model_validate(row.output) if row.output is not None else None,
        error=row.error,
        cost_micro=row.cost_micro,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
