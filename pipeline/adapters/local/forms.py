"""Filling a skill's slots over several turns, asking for one thing at a time. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace

from agents import FunctionTool

from pipeline.adapters.local.acts import Act
from pipeline.adapters.local.entities import unnamed
from pipeline.adapters.local.moves import Call
from pipeline.adapters.local.numbers import numbers
from pipeline.adapters.local.persona import Skill, Slot
from pipeline.adapters.local.replies import ack, anything_else, listed, say, spoken
from pipeline.adapters.local.state import CALLED, CHANGE, CONFIRM, Form, Mind, State, Step
from pipeline.adapters.local.values import ANY, Value, read
from pipeline.adapters.local.words import tokens

_GIVE_UP = 3


def start(mind: Mind, state: State, skill: Skill, text: str, given: Mapping[str, Value] | None = None) -> Step:
    """Begin a skill with whatever the utterance already says; ``given`` are values known before."""
    values = {**(given or {}), **collect(mind, state, skill, text)}
    if skill.refines and state.last is not None and state.last.skill.tool == skill.tool:
        values = {**{k: v for k, v in state.last.values.items() if k not in pages(skill)}, **values}
    values = {**_focused(state, skill), **values}
    if skill.again and state.last is not None and state.last.skill is skill and state.last.values == values:
        values = {**values, **skill.again}
    form = Form(skill, values)
    return advance(mind, replace(state, form=form, topic="", then="", choices=()), skill.opening)


def collect(mind: Mind, state: State, skill: Skill, text: str, awaiting: str = "") -> dict[str, Value]:
    """Values of all the skill's slots in an utterance."""
    found: dict[str, Value] = {}
    waiting = _slot(skill, awaiting)
    plain = " ".join(unnamed(tokens(text), mind.persona.entities.values()))
    for slot in skill.slots:
        if slot.kind == "entity" and waiting is not None and waiting.kind == "person":
            continue  # Tom Baker is not the Old Bakery
        said = plain if slot.kind in ("choice", "flags") else text  # Station Road is not about the station
        value = read(slot, said, mind.scene(state, slot), awaited=slot.name == awaiting)
        if value is not None:
            found[slot.name] = value
    if any(name != awaiting for name in found):  # "I said Tuesday" is no name
        found = {name: value for name, value in found.items() if name != awaiting or not _is_person(skill, name, text)}
    return found


def _is_person(skill: Skill, name: str, text: str) -> bool:
    slot = _slot(skill, name)
    return slot is not None and slot.kind == "person" and "name" not in text.lower()


def fill(mind: Mind, state: State, form: Form, text: str, done: frozenset[Act]) -> Step | None:
    """Take an utterance as an answer to the form's question; None: it is about something else."""
    if form.awaiting in (CONFIRM, CHANGE):
        return _settle(mind, state, form, text, done)
    found = collect(mind, state, form.skill, text, form.awaiting)
    slot = _slot(form.skill, form.awaiting)
    if Act.CANCEL in done and not found:
        return drop(state, form)
    if form.awaiting not in found and slot is not None and not slot.required and done & {Act.ANY, Act.NO}:
        found[form.awaiting] = ANY
    fresh = {name: value for name, value in found.items() if value != form.values.get(name)}
    if not fresh:
        return None
    corrected = Act.CORRECT in done and any(name in form.values for name in found)
    opening = "No problem." if corrected else ack(state)
    return advance(mind, replace(state, form=replace(form, values={**form.values, **found}, tries=0)), opening)


def ask_again(mind: Mind, state: State, form: Form, done: frozenset[Act]) -> Step:
    """The answer was not understood."""
    if form.tries + 1 >= _GIVE_UP:
        return drop(state, form, "I'm sorry, I can't make that out, so let's leave it for now.")
    retried = replace(state, form=replace(form, tries=form.tries + 1))
    if form.awaiting in (CONFIRM, CHANGE):
        return say(retried, "Sorry, was that a yes or a no?", question(mind, form))
    slot = _slot(form.skill, form.awaiting)
    hint = slot.hint if slot is not None else ""
    opening = "Great." if done & {Act.YES} else "Sorry, I didn't get that."
    return say(
        retried, f"{opening} {hint}".strip() if form.tries or not done & {Act.YES} else opening, question(mind, form)
    )


def advance(mind: Mind, state: State, opening: str = "") -> Step:
    """Ask for the next missing thing, or for a yes, or call the tool."""
    form = state.form
    if form is None:
        raise ValueError("no form to advance")
    if (check := _due_check(mind, form)) is not None:
        return replace(state, form=replace(form, awaiting=CALLED)), check
    for slot in form.skill.slots:
        if slot.ask and slot.name not in form.values and (slot.required or slot.name not in form.asked):
            waiting = replace(form, awaiting=slot.name, asked=form.asked | {slot.name})
            return say(replace(state, form=waiting), opening, question(mind, waiting))
    if form.skill.confirm:
        waiting = replace(form, awaiting=CONFIRM)
        return say(replace(state, form=waiting), opening, question(mind, waiting))
    return run(mind, state, form)


def run(mind: Mind, state: State, form: Form) -> Step:
    """Call the form's tool with what its JSON schema takes."""
    tool = mind.tools.get(form.skill.tool)
    if tool is None:
        return say(
            replace(state, form=None), "I'm sorry, I can't do that on this line.", anything_else(state), closing=True
        )
    called = replace(state, form=replace(form, awaiting=CALLED))
    return called, Call(form.skill.tool, arguments(tool, form))


def arguments(tool: FunctionTool, form: Form) -> str:
    """The form's values that the tool takes, as JSON."""
    takes = tool.params_json_schema.get("properties", {})
    return json.dumps({name: value for name, value in form.values.items() if name in takes and value != ANY})


def _due_check(mind: Mind, form: Form) -> Call | None:
    """The call of the form's check, if it has all it takes and was not asked the same before."""
    tool = mind.tools.get(form.skill.check)
    if tool is None or any(name not in form.values for name in tool.params_json_schema.get("required", ())):
        return None
    given = arguments(tool, form)
    return None if given == form.checked else Call(form.skill.check, given)


def drop(state: State, form: Form, words: str = "") -> Step:
    """Leave the form."""
    left = replace(state, form=None, last=None if form.skill.confirm else state.last)
    return say(left, words or form.skill.dropped, anything_else(state), closing=True)


def question(mind: Mind, form: Form) -> str:
    """The form's open question."""
    if form.awaiting == CONFIRM:
        said = {slot.name: _said(mind, slot, form.values) for slot in form.skill.slots}
        return form.skill.confirm.format_map(said)
    if form.awaiting == CHANGE:
        return f"What should I change, the {listed([slot.name for slot in form.skill.slots if slot.ask])}?"
    slot = _slot(form.skill, form.awaiting)
    return slot.ask if slot is not None else ""


def reminder(mind: Mind, form: Form) -> str:
    """The open question once more, after something else: of a confirmation only its last sentence."""
    asked = question(mind, form)
    return f"Now, back to it. {asked.rsplit('. ', 1)[-1]}"


def _settle(mind: Mind, state: State, form: Form, text: str, done: frozenset[Act]) -> Step | None:
    """An answer to "shall I?": yes, no, or a change."""
    found = {
        name: value for name, value in collect(mind, state, form.skill, text).items() if value != form.values.get(name)
    }
    if found:
        return advance(mind, replace(state, form=replace(form, values={**form.values, **found})), ack(state))
    named = next((slot for slot in form.skill.slots if slot.ask and slot.name in text.lower().split()), None)
    if named is not None and (Act.NO in done or Act.CORRECT in done or form.awaiting == CHANGE):
        waiting = replace(form, awaiting=named.name, values={k: v for k, v in form.values.items() if k != named.name})
        return say(replace(state, form=waiting), "Of course.", question(mind, waiting))
    if Act.CANCEL in done or (form.awaiting == CHANGE and Act.NO in done):
        return drop(state, form)
    if Act.NO in done:
        waiting = replace(form, awaiting=CHANGE)
        return say(replace(state, form=waiting), "No problem.", question(mind, waiting))
    if Act.YES in done and form.awaiting == CONFIRM and not numbers(tokens(text)):
        return run(mind, state, form)
    return None


def _focused(state: State, skill: Skill) -> dict[str, Value]:
    """Slots that what we are talking about fills by itself."""
    return {slot.name: state.focus[slot.entity] for slot in skill.slots if slot.entity in state.focus and slot.entity}


def _slot(skill: Skill, name: str) -> Slot | None:
    return next((slot for slot in skill.slots if slot.name == name), None)


def pages(skill: Skill) -> set[str]:
    """Slots that count pages of results; a changed search begins at the first again."""
    return {slot.name for slot in skill.slots if slot.kind == "page"}


def _said(mind: Mind, slot: Slot, values: Mapping[str, Value]) -> str:
    value = values.get(slot.name)
    return "" if value is None or value == ANY else spoken(slot, value, mind.today())
