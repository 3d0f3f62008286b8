"""An agent made of its published configuration: a name, instructions, first words, knowledge.

Without a language model it works by rules and retrieval over its knowledge, as the demo does; with one, the knowledge
stands in the instructions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agents import Agent, Model, ModelSettings

from pipeline.adapters.agent_tools import CallContext
from pipeline.adapters.agents_sdk import AgentsSdkAgent
from pipeline.adapters.demo.tools import call_tools
from pipeline.adapters.local.dialogue import LocalDialogue
from pipeline.adapters.local.persona import plain_persona
from pipeline.adapters.local_model import LocalModel


@dataclass(frozen=True, slots=True)
class PublishedAgent:
    """What is known of the agent."""

    name: str
    instructions: str = ""
    greeting: str = ""
    knowledge: Mapping[str, str] = field(default_factory=dict)
    """Topic to text."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A language model instead of the rules."""

    model: Model
    settings: ModelSettings
    provider: str


def build_published(
    published: PublishedAgent, now: Callable[[], datetime], remote: Remote | None = None
) -> AgentsSdkAgent:
    """The agent behind the agent port. ``now``: local time, for "today" and the clock tool."""
    persona = plain_persona(published.name, greeting=published.greeting, passages=published.knowledge)
    agent = Agent[CallContext](
        name=published.name,
        instructions=instructions(published),
        model=remote.model if remote else LocalModel(LocalDialogue(persona, today=lambda: now().date())),
        tools=call_tools(now),
    )
    if remote is None:
        return AgentsSdkAgent([agent], provider="local")
    return AgentsSdkAgent([agent], provider=remote.provider, settings=remote.settings)


def instructions(published: PublishedAgent) -> str:
    """For a language model."""
    parts = [
        f"You are {published.name}, on the telephone. Answer in one to three short spoken sentences, without lists and "
        "markdown. When the caller says goodbye, end the call with the tool.",
        published.instructions.strip(),
    ]
    if published.greeting:
        parts.append(f"When the call has just been connected, say exactly: {published.greeting}")
    if published.knowledge:
        facts = [f"{topic}: {text}" for topic, text in published.knowledge.items()]
        parts.append("\n".join(["What you know:", *facts]))
    return "\n\n".join(part for part in parts if part)
