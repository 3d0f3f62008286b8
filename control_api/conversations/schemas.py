"""JSON of conversations."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from control_api.db.models.model import ConversationStatus, TurnState
from control_api.wire import Given, Moment, Shown, Text

Tags = Annotated[list[Annotated[Text, Field(min_length=1, max_length=50, pattern=r"\S")]], Field(max_length=20)]


class ConversationSummary(Shown):
    """A conversation in a list."""

    id: UUID
    status: ConversationStatus
    session_id: str | None
    agent_id: UUID | None
    agent_version: int | None
    agent_name: str
    user_id: UUID | None
    client_phone: str | None
    transport: str
    ended_reason: str
    turns_count: int
    interruptions: int
    failures: int
    tags: list[str]
    started_at: Moment
    ended_at: Moment | None
    erased_at: Moment | None = Field(default=None, description="When its words were erased; null: they were not.")


class TurnShown(Shown):
    """What both sides said in one turn. Of the agent's words, those that the caller heard."""

    turn: int
    user_text: str
    user_source: str
    user_at: Moment | None
    agent_name: str
    agent_text: str
    agent_state: TurnState
    agent_at: Moment | None
    agent_ended_at: Moment | None
    tools: list[dict[str, Any]]


class ConversationShown(ConversationSummary):
    """A conversation with its turns."""

    context: dict[str, Any]
    turns: list[TurnShown]


class LatencyShown(Shown):
    """How long the caller waited in one turn, and for what; milliseconds. The parts add up."""

    turn: int
    at: Moment | None = Field(description="When the agent began to answer.")
    voice_to_voice_ms: float
    endpointing_ms: float | None
    stt_ms: float | None
    agent_ms: float | None
    tts_ms: float | None
    playout_ms: float | None


class LatencyTimeline(Shown):
    conversation_id: UUID
    turns: list[LatencyShown]


class LineShown(Shown):
    turn: int
    role: Literal["user", "agent"]
    text: str
    at: Moment | None
    name: str = ""
    interrupted: bool = False


class TranscriptShown(Shown):
    conversation_id: UUID
    lines: list[LineShown]


class TurnGiven(Given):
    """One turn of a conversation that was held elsewhere."""

    user_text: Annotated[Text, Field(max_length=20_000)] = ""
    agent_text: Annotated[Text, Field(max_length=20_000)] = ""
    at: datetime | None = None

    @model_validator(mode="after")
    def _somebody_spoke(self) -> Self:
        if not self.user_text and not self.agent_text:
            raise ValueError("nobody says anything in this turn")
        if self.at is not None and self.at.tzinfo is None:
            raise ValueError("the time needs a time zone")
        return self


class ConversationGiven(Given):
    """A conversation that was held elsewhere, to be kept with the others."""

    agent_id: UUID | None = None
    client_phone: Annotated[str | None, Field(max_length=20, pattern=r"^\+?[0-9 ()./-]{1,19}$")] = None
    turns: Annotated[list[TurnGiven], Field(max_length=500)] = Field(default_factory=list)
    tags: Tags = Field(default_factory=list)


class TagsGiven(Given):
    """All tags of a conversation, in place of those it had."""

    tags: Tags


class TagsShown(Shown):
    conversation_id: UUID
    tags: list[str]


class FeedbackGiven(Given):
    """What somebody thinks of a conversation."""

    rating: Annotated[int | None, Field(ge=1, le=5, description="1, bad, to 5, good.")] = None
    text: Annotated[Text, Field(max_length=2_000)] = ""
    turn: Annotated[int | None, Field(ge=1, le=1_000_000, description="The turn that it is about; null: all.")] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rating is None and not self.text.strip():
            raise ValueError("feedback has a rating, words, or both")
        return self


class FeedbackShown(Shown):
    id: UUID
    conversation_id: UUID
    rating: int | None
    text: str
    turn: int | None
    user_id: UUID | None
    created_at: Moment


class ErasedShown(Shown):
    conversation_id: UUID
    erased_at: Moment
