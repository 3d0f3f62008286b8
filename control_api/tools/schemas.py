"""JSON of tools."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from control_api.wire import Given, Moment, Shown, Text

Word = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
"""Name of a parameter or of a secret."""


def _free(name: str) -> str:
    if name.startswith(("transfer_to_", "connect_with_")) or name in ("current_time", "end_call"):
        raise ValueError("every agent has tools of this name by itself")
    return name


ToolName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$"), AfterValidator(_free)]
"""What a model calls it by."""
Secret = Annotated[str, Field(min_length=4, max_length=1_000, pattern=r"^[\x21-\x7e]+( [\x21-\x7e]+)*$")]
Description = Annotated[Text, Field(max_length=1_000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
_Scalar = Literal["string", "integer", "number", "boolean"]


class Items(Given):
    """What an array holds."""

    type: _Scalar


class Parameter(Given):
    """One argument, in JSON Schema (2020-12)."""

    type: Literal["string", "integer", "number", "boolean", "array"]
    description: Annotated[Text, Field(max_length=500)] | None = None
    enum: Annotated[list[Annotated[Text, Field(max_length=200)] | int | Finite], Field(max_length=50)] | None = None
    minimum: Finite | None = None
    maximum: Finite | None = None
    max_length: Annotated[int, Field(ge=0, le=10_000)] | None = None
    items: Items | None = None


class Parameters(Given):
    """JSON Schema (2020-12) of the arguments: a flat object. Regular expressions and references are not taken."""

    type: Literal["object"] = "object"
    properties: Annotated[dict[Word, Parameter], Field(max_length=20)] = Field(default={})
    required: Annotated[list[Word], Field(max_length=20)] = Field(default=[])
    additional_properties: Literal[False] = False

    @model_validator(mode="after")
    def _required_are_there(self) -> Self:
        if unknown := [name for name in self.required if name not in self.properties]:
            raise ValueError(f"there is no parameter {unknown[0]!r} that could be required")
        return self


class HttpConfiguration(Given):
    """The request that the tool makes. Arguments without a place in the address go into the JSON body, or for GET and
    DELETE into the query."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field(
        min_length=1, max_length=2_000, description="`https://…`, with `{parameter}` in its path and query."
    )
    headers: Annotated[dict[Text, Text], Field(max_length=20)] = Field(
        default={}, description="Values may hold secrets: `Bearer {{token}}`."
    )
    timeout_ms: int = Field(default=8_000, ge=100, le=30_000)
    side_effect: bool = Field(
        default=True,
        description="It changes something: it never runs for words that the caller may yet take back, and an agent "
        "that works by rules asks before.",
    )
    filler: Annotated[Text, Field(max_length=200)] = Field(
        default="", description="Said while it runs, if nothing was said before."
    )


class ToolGiven(Given):
    name: ToolName
    description: Description = Field(default="", description="When to use it, and for what; agents choose by it.")
    parameters: Parameters = Field(default_factory=Parameters)
    configuration: HttpConfiguration
    secrets: Annotated[dict[Word, Secret], Field(max_length=10)] = Field(
        default={}, description="Never shown again.", json_schema_extra={"writeOnly": True}
    )
    agent_id: UUID | None = Field(
        default=None, description="The agent it belongs to; null: agents that name it in their configuration use it."
    )


class ToolChange(Given):
    """What is left out stays as it is."""

    name: ToolName | None = None
    description: Description | None = None
    parameters: Parameters | None = None
    configuration: HttpConfiguration | None = None
    secrets: Annotated[dict[Word, Secret | None], Field(max_length=20)] | None = Field(
        default=None,
        description="Secrets to be set; null takes one away. Others stay.",
        json_schema_extra={"writeOnly": True},
    )


class ToolShown(Shown):
    id: UUID
    name: str
    description: str
    agent_id: UUID | None
    parameters: dict[str, Any] = Field(description="JSON Schema of the arguments.")
    configuration: HttpConfiguration
    secret_names: list[str]
    revision: int
    created_at: Moment
    updated_at: Moment


class ToolSummary(Shown):
    """A tool in a list."""

    id: UUID
    name: str
    description: str
    agent_id: UUID | None
    created_at: Moment
    updated_at: Moment


class TestGiven(Given):
    """What the tool is called with."""

    arguments: dict[str, Any] = Field(default={})


class SentShown(Shown):
    """The request, with secrets masked."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


class TestShown(Shown):
    """How the call went."""

    ok: bool
    status: int | None = Field(description="HTTP status; null: there was no answer.")
    duration_ms: float
    result: str = Field(description="What the agent would read; if it failed, why.")
    sent: SentShown | None = Field(description="Null: nothing was sent.")
