"""JSON of chats."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from control_api.wire import Given, Text


class ChatGiven(Given):
    text: Annotated[Text, Field(min_length=1, max_length=4_000, pattern=r"\S")]
    version: Literal["published", "draft"] = "published"
    store: bool = Field(default=True, description="Keep it as a conversation; false: nothing is kept.")
    conversation_id: UUID | None = Field(
        default=None, description="Go on with this chat: `sessionId` of its events. Null: a new one."
    )

    @model_validator(mode="after")
    def _kept_if_gone_on_with(self) -> Self:
        if self.conversation_id is not None and not self.store:
            raise ValueError("a chat that goes on is stored")
        return self
