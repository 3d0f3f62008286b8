"""One utterance of the caller, answered. Pure: state in, state and move out."""

import re
from dataclasses import replace

from pipeline.adapters.local.acts import Act, acts
from pipeline.adapters.local.forms import advance, ask_again, collect, fill, pages, reminder, start
from pipeline.adapters.local.matching import SURE, matches
from pipeline.adapters.local.moves import Call, Transfer
from pipeline.adapters.local.persona import Skill
from pipeline.adapters.local.replies import DOUBT, ack, anything_else, quote, repeat, say
from pipeline.adapters.local.retrieval import Match
from pipeline.adapters.local.social import goodbye, hearing, social, unsure
from pipeline.adapters.local.state import Form, Mind, State, Step, Target
from pipeline.adapters.local.values import Value
from pipeline.adapters.local.words import core, tokens

_BARE = re.compile(r"^(what about|how about|with|in|or|something|anything|but)\b")
_THAT = re.compile(r"\b(that|it|this|those)\b")
_ELLIPSIS = re.compile(rf"{_BARE.pattern}|^(is there|are there|has it|does it)\b|^\w+( \w+){{0,2}}$")
"""Utterances that lean on the one before: by how they begin, or because they are three words at most."""


def answer(mind: Mind, state: State, text: str) -> Step:
    """What to do about what the caller said."""
    done = acts(text)
    if not tokens(text):
        return say(state, "Sorry, I didn't catch that.", state.question)
    if state.doubt:
        settled = replace(state, doubt="")
        if Act.YES in done:
            return answer(mind, settled, state.doubt)
        if Act.NO in done and len(tokens(text)) <= 3:
            return say(settled, "Sorry about that. Please say it again.")
        return answer(mind, settled, text)
    found = matches(mind, state, core(text) or text)
    sure = found[0] if found and found[0].score >= SURE else None
    if Act.REPEAT in done and (sure is None or len(tokens(text)) <= 5):
        return repeat(state, state.said or mind.persona.about.offer)
    if Act.WAIT in done and sure is None and not state.form:
        return say(state, "Of course, take your time.")
    if Act.LOUDER in done or Act.PRESENT in done:
        return hearing(mind, state, done)
    if not state.form and (step := _elliptical(mind, state, core(text), sure)) is not None:
        return step
    step = _in_form(mind, state, text, done, sure) or _pending(mind, state, text, done, sure)
    if step is not None:
        return step
    if sure is not None and not (Act.BYE in done and sure.score < 0.75):
        return follow(mind, replace(state, misses=0), sure.target, text)
    return social(mind, state, text, done) or unsure(mind, state, text, found)


def doubt(state: State, text: str) -> Step:
    """The recogniser was unsure: say what it made of the words."""
    return say(replace(state, doubt=text), f"{DOUBT} {quote(text)}.", "Is that right?")


def follow(mind: Mind, state: State, target: Target, text: str) -> Step:
    """Do what the utterance is about."""
    match target.kind:
        case "skill":
            skill = mind.skills[target.key]
            return start(mind, state, skill, text, _known(state, skill) if _THAT.search(text.lower()) else None)
        case "colleague":
            return replace(state, form=None), Transfer(target.key)
        case "passage":
            return tell(mind, state, target.key)


def tell(mind: Mind, state: State, topic: str) -> Step:
    """Say a passage; a running form's question follows it."""
    passage = next(passage for passage in mind.persona.about.passage if passage.topic == topic)
    told = replace(state, topic=topic, then=passage.then, choices=())
    if state.form is not None:
        return say(told, passage.answer, reminder(mind, state.form))
    return say(told, passage.answer, passage.follow_up)


def _in_form(mind: Mind, state: State, text: str, done: frozenset[Act], sure: Match[Target] | None) -> Step | None:
    form = state.form
    if form is None:
        return None
    aside = sure is not None and sure.target.key != form.skill.tool
    awaited = collect(mind, state, form.skill, text, form.awaiting).get(form.awaiting)
    bar = 0.62 if awaited is None else 0.85  # what we asked for counts more than a likeness to something else
    spare = len(tokens(text)) > 2 and aside and sure is not None and sure.score >= bar
    if not (spare and _is_question(text)):
        filled = fill(mind, state, form, text, done)
        if filled is not None:
            return filled
    if sure is not None and aside:
        return _aside(mind, state, sure.target, text)
    if Act.BYE in done:
        return None
    chat = social(mind, state, text, done) if done & {Act.WHO, Act.HOW_ARE_YOU, Act.JOKE, Act.HELP} else None
    return chat or ask_again(mind, state, form, done)


def _aside(mind: Mind, state: State, target: Target, text: str) -> Step:
    """Something else in the middle of a form: answer it and keep the form, unless it is a task of its own."""
    if target.kind != "skill":
        return follow(mind, state, target, text)
    state_after, move = start(mind, replace(state, form=None), mind.skills[target.key], text)
    if isinstance(move, Call):
        return replace(state_after, form=state.form), move
    return state_after, move


def _pending(mind: Mind, state: State, text: str, done: frozenset[Act], sure: Match[Target] | None) -> Step | None:
    """Answers to what we offered or asked outside a form."""
    if state.choices:
        chosen = _chosen(state, text, done)
        if chosen is not None:
            return follow(mind, replace(state, choices=(), misses=0), chosen, text)
        if Act.NO in done and sure is None:
            return say(replace(state, choices=()), "Sorry, my mistake.", "What would you like to do?")
    if state.then and sure is None and (step := _offered(mind, state, text, done)) is not None:
        return step
    if state.closing and Act.NO in done and sure is None:
        return goodbye(mind, state)
    return _reopen(mind, state, text, done, sure)


def _offered(mind: Mind, state: State, text: str, done: frozenset[Act]) -> Step | None:
    """Our last reply ended with an offer: a yes, a no, or what the offer needs ("the second one", "Tuesday")."""
    skill = mind.skills.get(state.then)
    named = collect(mind, replace(state, focus={}), skill, text) if skill is not None else {}
    if Act.NO in done and named:
        return None  # "no, the first": a correction
    if not done & {Act.YES, Act.MORE} and not named:
        if Act.NO not in done:
            return None
        return say(replace(state, then=""), "No problem.", anything_else(state), closing=True)
    going = replace(state, misses=0, then="")
    if skill is not None:
        return start(mind, going, skill, text, _known(state, skill))
    if state.then in mind.colleagues:
        return going, Transfer(state.then)
    return tell(mind, going, state.then)


def _known(state: State, skill: Skill) -> dict[str, Value]:
    """Slots that the last result's values can fill."""
    return {slot.name: state.facts[slot.name] for slot in skill.slots if slot.name in state.facts}


def _reopen(mind: Mind, state: State, text: str, done: frozenset[Act], sure: Match[Target] | None) -> Step | None:
    """A correction after the fact ("no, I meant Tuesday") or a search made narrower ("anything cheaper?")."""
    last = state.last
    if last is None or (sure is not None and sure.target.key != last.skill.tool):
        return None
    found = collect(mind, state, last.skill, text)
    changed = {name: value for name, value in found.items() if value != last.values.get(name)}
    if not changed or not (Act.CORRECT in done or Act.NO in done or last.skill.refines):
        return None
    return _again(mind, state, last, changed)


def _elliptical(mind: Mind, state: State, text: str, sure: Match[Target] | None) -> Step | None:
    """ "And parking?", "what about the Old Town?", "with a garden": the last question with something else in it."""
    last = state.last
    flat = " ".join(tokens(text))
    if last is None or last.skill.confirm or not _ELLIPSIS.search(flat) or len(tokens(text)) > 7:
        return None
    if sure is not None and sure.target.kind != "skill" and sure.score > 0.8 and not _BARE.search(flat):
        return None
    found = collect(mind, state, last.skill, text)
    changed = {name: value for name, value in found.items() if value != last.values.get(name)}
    return _again(mind, state, last, changed) if changed else None


def _again(mind: Mind, state: State, last: Form, changed: dict[str, Value]) -> Step:
    kept = {name: value for name, value in last.values.items() if name not in pages(last.skill)}
    form = replace(last, values={**kept, **changed}, awaiting="")
    return advance(mind, replace(state, form=form, then=""), ack(state))


def _chosen(state: State, text: str, done: frozenset[Act]) -> Target | None:
    words = set(tokens(text))
    for place, target in enumerate(state.choices):
        if {"first", "second", "third"} & words == {("first", "second", "third")[place]}:
            return target
    shared = [len(words & set(tokens(target.title)) - {"the", "a", "to", "you", "your"}) for target in state.choices]
    if max(shared) > 0 and shared.count(max(shared)) == 1:
        return state.choices[shared.index(max(shared))]
    return state.choices[0] if Act.YES in done else None


def _is_question(text: str) -> bool:
    first = tokens(text)[0]
    return text.rstrip().endswith("?") or first in (
        "what",
        "how",
        "do",
        "does",
        "is",
        "are",
        "can",
        "could",
        "where",
        "when",
        "who",
        "why",
        "which",
        "will",
        "have",
    )
