"""What makes one local agent: who it is, what it can do and what it knows. Declarative, read from TOML.

Everything here is data; the dialogue is the same for every persona. Tools are named, never described again: what a
tool takes comes from its JSON schema, what it did from its result.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import msgspec

SlotKind: TypeAlias = Literal["number", "money", "day", "time", "person", "entity", "choice", "flags", "page", "text"]


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One argument of a tool, filled from the conversation."""

    name: str
    """The tool's parameter."""
    kind: SlotKind
    ask: str = ""
    """The question; empty: never asked, only taken when said."""
    hint: str = ""
    """What a good answer looks like; said when an answer was not understood."""
    required: bool = False
    """Without it the tool cannot run. An optional slot is asked for once at most."""
    entity: str = ""
    """kind ``entity``: which of the persona's entities."""
    unit: tuple[str, ...] = ()
    """kind ``number``: words that follow the number, so that it is recognised unasked."""
    choices: Mapping[str, tuple[str, ...]] = {}
    """kinds ``choice`` and ``flags``: value -> ways of saying it."""


class Skill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something the agent does with a tool."""

    tool: str
    title: str
    """Ends the question "did you want to …?"."""
    examples: tuple[str, ...] = ()
    cues: tuple[str, ...] = ()
    """Phrases that make it likely together with a value ("do you have", "to see it")."""
    again: Mapping[str, str] = {}
    """Values to use when the very same is asked once more ("tell me more")."""
    slots: tuple[Slot, ...] = msgspec.field(name="slot", default=())
    confirm: str = ""
    """Question before the tool runs, with ``{slot}`` for values; empty: none is asked."""
    check: str = ""
    """Read-only tool that is asked, once it has all it takes, before the rest is filled and confirmed."""
    opening: str = ""
    """Said before the first question."""
    dropped: str = "All right, I've left that."
    subject: bool = False
    """Naming its entity is enough to mean it ("the old bakery")."""
    refines: bool = False
    """Later utterances may change the last search's arguments ("anything cheaper?")."""
    follow_up: str = ""
    """Question after a success."""
    then: str = ""
    """What a "yes" to the follow-up starts: a skill's tool, a passage's topic or a colleague's agent."""


class Passage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of knowledge."""

    topic: str
    """Ends the question "did you mean …?"."""
    questions: tuple[str, ...]
    answer: str
    more: str = ""
    """Said when the caller wants to hear more."""
    follow_up: str = ""
    then: str = ""


class Colleague(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another agent, and what sends a caller there."""

    agent: str
    title: str
    examples: tuple[str, ...]


class PersonaFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The TOML file's shape."""

    agent: str
    """Name of the SDK agent."""
    starts: bool = False
    """It is the one that answers the call."""
    instructions: str
    """For language models."""
    greeting: str
    takeover: str
    """First words after a handoff to it."""
    introduction: str
    """Answer to "who are you?"."""
    how_are_you: str
    offer: str
    """What it can do, in one sentence."""
    farewell: str
    joke: str = "I only know one about a house, but the timing falls down."
    end_tool: str = ""
    """Tool that ends the call."""
    skill: tuple[Skill, ...] = ()
    passage: tuple[Passage, ...] = ()
    colleague: tuple[Colleague, ...] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing with a name that callers refer to."""

    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona with the entities it talks about (kind -> things)."""

    about: PersonaFile
    entities: Mapping[str, tuple[Entity, ...]] = field(default_factory=dict)

    def skill(self, tool: str) -> Skill | None:
        return next((skill for skill in self.about.skill if skill.tool == tool), None)

    def with_entities(self, kind: str, entities: tuple[Entity, ...]) -> "Persona":
        return replace(self, entities={**self.entities, kind: entities})


def load_persona(text: str) -> Persona:
    """Read a persona from TOML text.

    Raises:
        msgspec.ValidationError: a field is missing, unknown or of the wrong type; the message names it.
        tomllib.TOMLDecodeError: not TOML.
    """
    return Persona(msgspec.convert(tomllib.loads(text), PersonaFile))


def plain_persona(agent: str, *, greeting: str = "", passages: Mapping[str, str] | None = None) -> Persona:
    """A persona from the little that is known of any agent: its name, its greeting, its knowledge (topic -> text).

    What it can do comes from its tools (:mod:`pipeline.adapters.local.derive`).
    """
    known = tuple(
        Passage(topic=topic, questions=(topic, text.split(".")[0]), answer=text)
        for topic, text in (passages or {}).items()
    )
    about = PersonaFile(
        agent=agent,
        starts=True,
        instructions="",
        greeting=greeting or f"Hello, this is {agent}. How can I help you?",
        takeover=f"Hello, this is {agent}.",
        introduction=f"I'm {agent}, an automated assistant.",
        how_are_you="I'm very well, thank you.",
        offer="Just tell me what you need, in a few words.",
        farewell="Thank you for calling. Goodbye!",
        end_tool="end_call",
        passage=known,
    )
    return Persona(about)
