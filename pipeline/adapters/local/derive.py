"""What can be known of a tool that nobody described: its JSON schema says enough to ask for its arguments. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from agents import FunctionTool

from pipeline.adapters.agent_tools import Guarded
from pipeline.adapters.local.persona import Persona, Skill, Slot, SlotKind

_COMMON = (
    "house houses home homes flat flats hour hours about above after again all also another around ask "
    "back because before best better big call called calling card come could day days different does "
    "doing done down email enough every few find fine first give going good great hear help here high "
    "information into know last later less like little live long look looking made make many maybe mean "
    "minute minutes mind money month moment more most much must name near never new next nice nothing "
    "number once only open other over part people person phone place please possible pretty question "
    "quite rather really right road room said same say second see should show small someone something "
    "soon sorry speak start still stop street sure take talk tell than thank thanks thing things think "
    "third time today tomorrow told tonight try two under until using very view wait want wanted week "
    "weekend well went were what when where which while will with without word work world would wrong "
    "year years yesterday your monday tuesday wednesday thursday friday saturday sunday morning afternoon "
    "evening thousand hundred million pounds weather food pizza music football"
)
"""Ordinary words, so that they are not taken for misheard names of topics."""


def derived_skill(tool: FunctionTool) -> Skill:
    """A skill from a tool's name, description and JSON schema; a tool that acts is confirmed first."""
    words = tool.name.replace("_", " ")
    schema = tool.params_json_schema
    required = set(schema.get("required", ()))
    slots = tuple(_slot(name, part, name in required) for name, part in schema.get("properties", {}).items())
    acts = not isinstance(tool.on_invoke_tool, Guarded) or tool.on_invoke_tool.acts
    sentence = tool.description.split(".")[0].strip()
    return Skill(
        tool=tool.name,
        title=f"to {words}",
        examples=tuple(example for example in (words, sentence) if example),
        slots=slots,
        confirm=f"Shall I {words} now?" if acts else "",
    )


def known_words(persona: Persona, skills: Iterable[Skill]) -> Sequence[str]:
    """Words a caller may use that are no examples: never to be "mended" into one."""
    named = [name for things in persona.entities.values() for thing in things for name in (thing.name, *thing.aliases)]
    chosen = [
        way.replace("_", " ")
        for skill in skills
        for slot in skill.slots
        for value, ways in slot.choices.items()
        for way in (value, *ways)
    ]
    return " ".join([_COMMON, *named, *chosen]).lower().split()


def _slot(name: str, schema: dict[str, Any], required: bool) -> Slot:
    words = name.replace("_", " ")
    nullable = any(part.get("type") == "null" for part in schema.get("anyOf", ()))
    options = schema.get("enum", ())
    kind: SlotKind = "choice" if options else "number" if schema.get("type") in ("integer", "number") else "text"
    ask = f"What is the {words}?" if required and not nullable else ""
    return Slot(name=name, kind=kind, ask=ask, required=bool(ask), choices={str(option): () for option in options})
