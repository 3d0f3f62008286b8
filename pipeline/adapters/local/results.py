"""What a tool gave back, made into speech and memory. Pure.

A tool's result may be any text. If it is a JSON object, these keys mean something to the dialogue (and read well to a
language model too): ``spoken`` a sentence to say, ``ask_again`` parameters that must be asked for again, ``options``
names read out in order, ``about`` kind of entity -> name now talked about, ``follow_up`` the question to go on with,
``implied`` values that "cheaper" and the like compare with, ``error`` it failed.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.adapters.local.forms import advance, arguments, reminder
from pipeline.adapters.local.replies import ack, anything_else, say
from pipeline.adapters.local.state import CALLED, Form, Mind, State, Step

_SHAPES: Mapping[str, type] = {"about": dict, "implied": dict, "ask_again": list, "options": list}


def took(mind: Mind, state: State, tool: str, arguments: str) -> State:
    """A tool was called, by us or by another model in our place."""
    skill = mind.skills.get(tool)
    if state.form is not None and state.form.skill.check == tool:
        return state
    if skill is None or (state.form is not None and state.form.awaiting == CALLED and state.form.skill.tool == tool):
        return state
    try:
        values = json.loads(arguments)
    except ValueError:
        values = {}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if v is not None}
    return replace(state, last=Form(skill, given, awaiting=CALLED))


def returned(mind: Mind, state: State, tool: str, output: str) -> Step:
    """A tool's result: remember what it is about, and say it."""
    if tool == mind.persona.about.end_tool:
        return say(state, mind.persona.about.farewell)
    result = _parsed(output)
    if state.form is not None and state.form.skill.check == tool:
        return _checked(mind, state, state.form, result)
    ours = state.form if state.form is not None and state.form.skill.tool == tool else None
    if "error" in result:
        failed = replace(state, form=None, last=ours or state.last, then=tool)
        return say(failed, "I'm sorry, that didn't work just now.", "Shall I try again?")
    again = [str(name) for name in result.get("ask_again", ())]
    noted = _noted(state, result)
    spoken = _spoken(result, output)
    if ours is not None and again:
        return advance(mind, replace(noted, form=_without(ours, again)), spoken)
    return _done(mind, noted, tool, ours, spoken, result)


def _checked(mind: Mind, state: State, form: Form, result: Mapping[str, Any]) -> Step:
    """The check's answer: go on, or ask for what it refused. A check that failed never stands in the way."""
    again = [str(name) for name in result.get("ask_again", ())]
    if again:
        left = _without(form, again)
        settled = replace(left, checked=arguments(mind.tools[form.skill.check], left))
        return advance(mind, replace(state, form=settled), str(result.get("spoken", "")))
    passed = replace(form, checked=arguments(mind.tools[form.skill.check], form), tries=0)
    return advance(mind, replace(state, form=passed), ack(state))


def _without(form: Form, names: list[str]) -> Form:
    values = {name: value for name, value in form.values.items() if name not in names}
    return replace(form, values=values, awaiting="", asked=form.asked - set(names))


def _done(mind: Mind, state: State, tool: str, ours: Form | None, spoken: str, result: Mapping[str, Any]) -> Step:
    if state.form is not None and ours is None:  # asked in the middle of something else
        return say(state, spoken, reminder(mind, state.form))
    skill = mind.skills.get(tool)
    finished = replace(state, form=None, last=ours or state.last, then=skill.then if skill else "")
    if "follow_up" in result:
        asked = str(result["follow_up"])
        return say(finished if asked else replace(finished, then=""), spoken, asked)
    once = f"{tool} {sorted(state.focus.items())}"
    if skill is not None and skill.follow_up and (once not in state.followed or skill.refines):
        return say(replace(finished, followed=state.followed | {once}), spoken, skill.follow_up)
    if skill is not None and skill.confirm:
        return say(finished, spoken, anything_else(state), closing=True)
    return say(finished, spoken)


def _noted(state: State, result: Mapping[str, Any]) -> State:
    about = {str(kind): str(name) for kind, name in dict(result.get("about", {})).items()}
    options = tuple(str(option) for option in result.get("options", ()))
    facts = {name: value for name, value in result.items() if isinstance(value, int) and not isinstance(value, bool)}
    return replace(
        state,
        focus={**state.focus, **about},
        offered=options or state.offered,
        facts=facts,
        implied=dict(result.get("implied", {})),
        topic="",
    )


def _parsed(output: str) -> Mapping[str, Any]:
    try:
        result = json.loads(output)
    except ValueError:
        return {}
    if not isinstance(result, dict):
        return {}
    # A tool of somebody who never heard of these keys may use one of them for something else.
    return {key: value for key, value in result.items() if isinstance(value, _SHAPES.get(key, object))}


def _spoken(result: Mapping[str, Any], output: str) -> str:
    if "spoken" in result:
        return str(result["spoken"])
    if not result:
        return output if len(output.split()) <= 60 else "Done."
    plain = {key: value for key, value in result.items() if isinstance(value, str | int | float)}
    return " ".join(f"The {key.replace('_', ' ')} is {value}." for key, value in list(plain.items())[:4]) or "Done."
