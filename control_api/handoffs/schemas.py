"""JSON of handoffs."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from control_api.wire import Given, Moment, Shown, Text

Condition = Annotated[Text, Field(max_length=1_000)]
Number = Annotated[str, Field(pattern=r"^\+?[0-9]{3,19}$")]


class HandoffGiven(Given):
    """Either an agent or a telephone number takes over."""

    from_agent_id: UUID
    to_agent_id: UUID | None = None
    to_number: Number | None = None
    condition: Condition = Field(
        default="", description="When: what callers ask for or say, in words of theirs, separated by commas."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.to_agent_id is None) == (self.to_number is None):
            raise ValueError("either toAgentId or toNumber is needed, and not both")
        if self.to_agent_id == self.from_agent_id:
            raise ValueError("an agent cannot hand over to itself")
        return self


class HandoffChange(Given):
    """Whom it leads to cannot be changed: make another one."""

    condition: Condition


class HandoffShown(Shown):
    id: UUID
    from_agent_id: UUID
    to_agent_id: UUID | None
    to_number: str | None
    condition: str
    revision: int
    created_at: Moment
    updated_at: Moment


class HandoffTestGiven(Given):
    text: Annotated[Text, Field(min_length=1, max_length=2_000, pattern=r"\S")] = Field(
        description="What a caller says."
    )


class HandoffTestShown(Shown):
    """What the draft of the agent did with the words."""

    would_hand_over: bool = Field(description="This handoff was taken.")
    handed_to: str | None = Field(description="Name of the agent, or the number, that took over; null: nobody did.")
    reply: str
