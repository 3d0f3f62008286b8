"""What an agent is configured by: the document that is drafted, validated, published, exported and imported."""

from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from control_api.problems import Pointer
from control_api.wire import Given, Text
from sessions.agents import AgentSnapshot, Knowledge

FORMAT: Final = "voicegate.agent/1"


class Passage(Given):
    """A piece of knowledge: the agent answers questions about the topic with the text."""

    topic: Annotated[Text, Field(min_length=1, max_length=100)]
    text: Annotated[Text, Field(min_length=1, max_length=2_000)]


class AgentConfiguration(Given):
    """How an agent behaves in a call."""

    preset: Literal["none", "estate-agency"] = Field(
        default="none",
        description="`estate-agency`: the built-in agency with its people, homes and tools; the rest is its own.",
    )
    instructions: Annotated[Text, Field(max_length=20_000)] = Field(
        default="", description="For the language model, where the deployment has one."
    )
    greeting: Annotated[Text, Field(max_length=500)] = Field(
        default="", description="First words; empty: a plain one is made."
    )
    language: str = Field(default="en", pattern=r"^[a-z]{2}$", description="ISO 639-1.")
    voice: Annotated[Text, Field(max_length=100)] = Field(default="", description="Empty: the deployment's.")
    model: Annotated[Text, Field(max_length=100)] = Field(default="", description="Empty: the deployment's.")
    knowledge: list[Passage] = Field(default=[], max_length=200)
    tools: list[Annotated[Text, Field(min_length=1, max_length=64)]] = Field(
        default=[], max_length=20, description="Names of the organisation's tools; the agent's own are added to them."
    )

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        topics = [passage.topic.casefold() for passage in self.knowledge]
        if len(set(topics)) != len(topics):
            raise ValueError("two pieces of knowledge have the same topic")
        return self


def stored(configuration: AgentConfiguration) -> dict[str, Any]:
    """For a row. What is newer than the version before, and not used, is left out: that one refuses what it does not
    know."""
    return configuration.model_dump(exclude=None if configuration.tools else {"tools"})


class AgentDocument(Given):
    """An agent as a file: what export gives and import takes."""

    format: Literal["voicegate.agent/1"] = FORMAT
    name: Annotated[Text, Field(min_length=1, max_length=100, pattern=r"\S")]
    configuration: AgentConfiguration


def shortcomings(configuration: AgentConfiguration) -> list[Pointer]:
    """Why a draft cannot be published yet; a draft itself may be incomplete."""
    found = []
    if configuration.preset == "none" and not (configuration.instructions.strip() or configuration.knowledge):
        found.append(Pointer(pointer="/instructions", detail="An agent needs instructions, knowledge or a preset."))
    for number, passage in enumerate(configuration.knowledge):
        if not passage.text.strip():
            found.append(Pointer(pointer=f"/knowledge/{number}/text", detail="It says nothing."))
    return found


def snapshot_of(
    agent_id: UUID, organization_id: UUID, version: int, name: str, configuration: AgentConfiguration
) -> AgentSnapshot:
    """What the gateway gets."""
    return AgentSnapshot(
        id=str(agent_id),
        version=version,
        name=name,
        organization_id=str(organization_id),
        preset=configuration.preset,
        instructions=configuration.instructions,
        greeting=configuration.greeting,
        language=configuration.language,
        voice=configuration.voice,
        model=configuration.model,
        knowledge=tuple(Knowledge(each.topic, each.text) for each in configuration.knowledge),
    )
