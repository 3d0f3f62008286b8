"""Agents made of their published configurations: names, instructions, first words, knowledge, tools, colleagues.

Without a language model they work by rules and retrieval over their knowledge, as the demo does; with one, the
knowledge stands in the instructions.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from agents import Agent, FunctionTool, Handoff, Model, ModelSettings, RunContextWrapper, Tool, handoff
from agents.tool_context import ToolContext

from pipeline.adapters.agent_tools import CallContext, ToolFailed, read_only, side_effect
from pipeline.adapters.agents_sdk import AgentsSdkAgent
from pipeline.adapters.demo.tools import call_tools
from pipeline.adapters.http_tool import HttpTool, call_tool
from pipeline.adapters.local.dialogue import LocalDialogue
from pipeline.adapters.local.persona import Colleague, Persona, Skill, plain_persona
from pipeline.adapters.local_model import LocalModel
from pipeline.adapters.number_handoff import NumberGiven, number_tool
from pipeline.adapters.outward_http import OutwardHttp
from pipeline.adapters.phone_tools import phone_tools
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import VoicegateError

_HANDOFFS_OF_REPLY: Final = 3
"""Two agents that each think the other one is right must not go on for ever."""
_PERSON: Final = "a person"
_GRACE_S: Final = 1.0
"""A request ends by its own bound, with its own words, before the tool's."""


@dataclass(frozen=True, slots=True)
class Successor:
    """Who takes over, and when."""

    agent: str
    """Name of another of the agents."""
    condition: str


@dataclass(frozen=True, slots=True)
class PublishedAgent:
    """What is known of an agent."""

    name: str
    instructions: str = ""
    greeting: str = ""
    knowledge: Mapping[str, str] = field(default_factory=dict)
    """Topic to text."""
    tools: Sequence[HttpTool] = ()
    successors: Sequence[Successor] = ()
    numbers: Sequence[NumberGiven] = ()
    model: "Remote | None" = None
    """Of its own; None: it works by rules."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A language model instead of the rules."""

    model: Model
    settings: ModelSettings
    provider: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all agents share. ``http``: None where no agent has tools."""

    clock: Clock
    http: OutwardHttp | None = None


def build_published(team: Sequence[PublishedAgent], around: Surroundings) -> AgentsSdkAgent:
    """The agents behind one agent port; the first one takes calls. Their names must differ (:func:`distinct`)."""
    built = {each.name: _agent(each, around, starts=each is team[0]) for each in team}
    for each in team:
        built[each.name].handoffs = [_handoff(built[to.agent], to) for to in each.successors if to.agent in built]
    fillers = {tool.name: tool.filler for each in team for tool in each.tools if tool.filler}
    remote = team[0].model
    provider = remote.provider if remote else "local"
    return AgentsSdkAgent(
        list(built.values()), provider=provider, settings=remote.settings if remote else None, fillers=fillers
    )


def distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where the names of their handoffs would be the same."""
    taken: set[str] = set()
    out = []
    for name in names:
        candidate, number = name, 1
        while Handoff.default_tool_name(Agent(name=candidate)).lower() in taken:
            number += 1
            candidate = f"{name} {number}"
        taken.add(Handoff.default_tool_name(Agent(name=candidate)).lower())
        out.append(candidate)
    return out


def _agent(published: PublishedAgent, around: Surroundings, *, starts: bool) -> Agent[CallContext]:
    now = around.clock.utc
    tools = [] if around.http is None else [_tool(around.http, around.clock, tool) for tool in published.tools]
    local = LocalModel(LocalDialogue(_persona(published, starts=starts), today=lambda: now().date()))
    keys = phone_tools() if published.model else ()  # rules would take them for something that callers ask for
    return Agent[CallContext](
        name=published.name,
        instructions=instructions(published),
        model=published.model.model if published.model else local,
        tools=[*tools, *map(_number_tool, published.numbers), *keys, *call_tools(now)],
    )


def _tool(http: OutwardHttp, clock: Clock, tool: HttpTool) -> Tool:
    async def invoke(_: ToolContext[Any], arguments: str) -> str:
        outcome = await call_tool(http, clock, tool, _object(arguments))
        if not outcome.ok:
            raise ToolFailed(outcome.result)
        return outcome.result

    made = FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=dict(tool.parameters),
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )
    mark = side_effect if tool.acts else read_only
    return mark(made, timeout_s=tool.timeout_s + _GRACE_S)


def _number_tool(given: NumberGiven) -> Tool:
    async def connect(context: ToolContext[Any], _: str) -> str:
        control = context.context.control
        if control is None or not control.on_a_phone:
            raise ToolFailed("Only a telephone call can be connected with a number.")
        try:
            await control.transfer(given.number)
        except VoicegateError as error:
            raise ToolFailed(f"The call could not be connected: {error}") from error
        return json.dumps({"spoken": "I'm connecting you now."})

    made = FunctionTool(
        name=number_tool(given.number),
        description=f"Connect the caller with a person. When: {given.condition or 'they ask for a person'}",
        params_json_schema={"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        on_invoke_tool=connect,
    )
    return side_effect(made)


def _object(arguments: str) -> Mapping[str, Any]:
    try:
        read = json.loads(arguments or "{}")
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ToolFailed("The arguments are no JSON object.")
    return read


def _handoff(to: Agent[CallContext], successor: Successor) -> Handoff[CallContext, Any]:
    def count(context: RunContextWrapper[CallContext]) -> None:
        context.context.handoffs += 1

    def is_enabled(context: RunContextWrapper[CallContext], _: Any) -> bool:
        return context.context.handoffs < _HANDOFFS_OF_REPLY

    described = f"Hand the conversation over to {to.name}. When: {successor.condition or 'they ask for it'}"
    return handoff(to, on_handoff=count, is_enabled=is_enabled, tool_description_override=described)


def _persona(published: PublishedAgent, *, starts: bool) -> Persona:
    persona = plain_persona(published.name, greeting=published.greeting, passages=published.knowledge)
    colleagues = tuple(
        Colleague(agent=each.agent, title=f"to speak to {each.agent}", examples=_examples(each.condition, each.agent))
        for each in published.successors
    )
    skills = tuple(
        Skill(tool=number_tool(each.number), title="to speak to a person", examples=_examples(each.condition, _PERSON))
        for each in published.numbers
    )
    return Persona(msgspec.structs.replace(persona.about, starts=starts, colleague=colleagues, skill=skills))


def _examples(condition: str, whom: str) -> tuple[str, ...]:
    """What callers say who want to be handed over: the condition's parts, and asking for it."""
    said = [part.strip() for part in re.split(r"[.;,\n]", condition)]
    return (*(part for part in said if part), f"speak to {whom}", f"put me through to {whom}")


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
