"""What a local dialogue remembers. It is rebuilt from the history for every turn, so it is nowhere stored. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

from agents import FunctionTool

from pipeline.adapters.local.moves import Move
from pipeline.adapters.local.persona import Persona, Skill, Slot
from pipeline.adapters.local.retrieval import Index
from pipeline.adapters.local.values import Scene, Value

CONFIRM, CHANGE, CALLED = "?confirm", "?change", "?called"
"""What a form may wait for besides a slot: the caller's yes, what to change, the tool's result."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something an utterance may be about."""

    kind: Literal["skill", "passage", "colleague"]
    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Form:
    """A skill whose slots are being filled."""

    skill: Skill
    values: Mapping[str, Value] = field(default_factory=dict)
    awaiting: str = ""
    """Name of the slot asked for, or one of the marks above."""
    asked: frozenset[str] = frozenset()
    checked: str = ""
    """Arguments the check has passed, as JSON."""
    tries: int = 0
    """Answers to the running question that were not understood."""


@dataclass(frozen=True, slots=True)
class State:
    """One agent's side of a conversation so far."""

    form: Form | None = None
    last: Form | None = None
    """The form whose tool ran last."""
    focus: Mapping[str, str] = field(default_factory=dict)
    """Kind of entity -> the one being talked about."""
    facts: Mapping[str, Value] = field(default_factory=dict)
    """Plain values of the last tool's result; a follow-up may use them."""
    implied: Mapping[str, Value] = field(default_factory=dict)
    """What "cheaper" and the like compare with, where the caller named nothing."""
    offered: tuple[str, ...] = ()
    """Names last read out, for "the second one"."""
    then: str = ""
    """What a "yes" starts now: a skill's tool, a passage's topic or a colleague's agent."""
    choices: tuple[Target, ...] = ()
    """Answers to "did you mean …?"."""
    said: str = ""
    """Our last reply as meant, whether heard or not."""
    question: str = ""
    """The question in it, still open."""
    topic: str = ""
    """Passage last told."""
    prefix: str = ""
    """Words to begin our next reply with."""
    doubt: str = ""
    """Words repeated back to the caller for a yes."""
    followed: frozenset[str] = frozenset()
    """Follow-up questions already asked, so that none is asked twice about the same thing."""
    misses: int = 0
    closing: bool = False
    """The open question is "anything else?"."""
    turns: int = 0


Step: TypeAlias = tuple[State, Move]


@dataclass(frozen=True, slots=True)
class Mind:
    """What stays the same through a conversation: the persona, and what it may use now."""

    persona: Persona
    index: Index[Target]
    tools: Mapping[str, FunctionTool]
    colleagues: Sequence[str]
    skills: Mapping[str, Skill]
    today: Callable[[], date]

    def scene(self, state: State, slot: Slot) -> Scene:
        """What the slot's reader may know."""
        previous = (state.last.values if state.last else {}).get(slot.name, state.implied.get(slot.name))
        return Scene(
            self.today(),
            self.persona.entities.get(slot.entity, ()),
            state.focus.get(slot.entity, ""),
            state.offered,
            previous,
        )
