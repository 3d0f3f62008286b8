"""JSON as it goes over the wire: camelCase, times in UTC with a Z, unknown fields refused."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_CAMEL = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)
T = TypeVar("T")


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text must not contain the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must be valid Unicode, without lone surrogates") from None
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
"""Text that the database can keep: PostgreSQL's has no U+0000."""

Name = Annotated[Text, Field(min_length=1, max_length=100, pattern=r"\S")]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]


class Given(BaseModel):
    """What a client sends. A field it does not know is an error, so that a misspelling is noticed."""

    model_config = ConfigDict(**_CAMEL, extra="forbid")


class Shown(BaseModel):
    """What a client gets; it must bear fields it does not know."""

    model_config = ConfigDict(**_CAMEL, from_attributes=True)


class Page(Shown, Generic[T]):
    """One page of a list, newest first."""

    items: list[T]
    next_cursor: str | None = Field(
        default=None, description="Send it as `cursor` for the next page; null: this was the last."
    )


def event_stream(description: str) -> dict[int | str, dict[str, Any]]:
    """The answer 200 of an operation that gives Server-Sent Events; the schema is that of one event."""
    parts = {name: {"type": "string"} for name in ("id", "event", "data")}
    one = {"type": "object", "properties": parts, "required": ["data"]}
    return {200: {"description": description, "content": {"text/event-stream": {"schema": one}}}}
