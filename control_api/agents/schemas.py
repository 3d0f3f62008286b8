"""JSON of agents."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from control_api.agents.configuration import AgentConfiguration
from control_api.db.models.model import AgentStatus
from control_api.problems import Pointer
from control_api.wire import Given, Moment, Name, Shown, Text

Note = Annotated[Text, Field(max_length=500)]


class AgentGiven(Given):
    name: Name
    configuration: AgentConfiguration = Field(default_factory=AgentConfiguration)


class AgentChange(Given):
    """What is left out stays as it is."""

    name: Name | None = None
    configuration: AgentConfiguration | None = None


class AgentShown(Shown):
    """An agent and its draft."""

    id: UUID
    name: str
    status: AgentStatus
    configuration: AgentConfiguration
    revision: int
    published_version: int | None
    created_at: Moment
    updated_at: Moment


class AgentSummary(Shown):
    """An agent in a list."""

    id: UUID
    name: str
    status: AgentStatus
    published_version: int | None
    created_at: Moment
    updated_at: Moment


class Verdict(Shown):
    """Whether the draft can be published; if not, where it falls short (JSON Pointers into the configuration)."""

    valid: bool
    errors: list[Pointer]


class PublishGiven(Given):
    note: Note = ""


class RollbackGiven(Given):
    version: int = Field(ge=1, le=2_147_483_647)
    note: Note = ""


class DuplicateGiven(Given):
    name: Name | None = None


class VersionShown(Shown):
    """What was published once."""

    agent_id: UUID
    version: int
    name: str
    configuration: AgentConfiguration
    note: str
    created_by: UUID | None
    created_at: Moment


class SessionGiven(Given):
    greeting: bool = Field(
        default=True, description="The agent speaks first. For WHIP; a WebSocket client says it itself."
    )


class SessionMade(Shown):
    """Where to call the agent, and with what. The token is good for one call and expires soon."""

    session_id: str
    agent_id: UUID
    agent_version: int
    token: str = Field(
        description="For `Authorization: Bearer`, or as the WebSocket subprotocol `voicegate.token.<token>`."
    )
    token_expires_in: int = Field(description="Seconds.")
    web_socket_url: str = Field(description="Subprotocol `voice.v1`.")
    whip_url: str
    ice_servers: list[dict[str, Any]] = Field(description="RTCIceServer objects.")
