"""What an utterance is about: likeness to examples, and for skills the values it holds. Pure."""

from dataclasses import replace

from pipeline.adapters.local.entities import unnamed
from pipeline.adapters.local.forms import collect
from pipeline.adapters.local.persona import Skill
from pipeline.adapters.local.retrieval import Match
from pipeline.adapters.local.state import Mind, State, Target
from pipeline.adapters.local.values import refers_back
from pipeline.adapters.local.words import tokens

SURE, MAYBE = 0.56, 0.34
"""A match above the first is acted on; between the two it is asked about (set on the dialogue test's utterances)."""

_STRONG = frozenset({"money", "number", "choice", "flags", "entity", "page"})


def matches(mind: Mind, state: State, text: str) -> tuple[Match[Target], ...]:
    """Targets with their scores: likeness to examples, and for skills the values the utterance holds."""
    spoken = unnamed(tokens(text), mind.persona.entities.values())
    words = mind.index.vocabulary.mended(spoken)
    scores = {match.target: match.score for match in mind.index.search(words)}
    for key, skill in mind.skills.items():
        target = Target("skill", key, skill.title)
        base = scores.get(target, 0.0)
        evidence = _evidence(mind, state, skill, text)
        if evidence and (base > 0.12 or evidence > 1 or skill.subject):
            scores[target] = base + min(0.36, 0.16 * evidence)
        if evidence and any(f" {cue} " in f" {' '.join(spoken)} " for cue in skill.cues):
            scores[target] = scores.get(target, 0.0) + 0.4
        if evidence and _points_back(mind, state, skill, text):
            scores[target] = scores.get(target, 0.0) + 0.3
        if skill.subject and _names_it(mind, state, skill, text):
            scores[target] = scores.get(target, 0.0) + 0.45
        elif skill.subject and _lacks_entity(state, skill):
            scores[target] = scores.get(target, 0.0) * 0.6  # which one, if none is in sight?
    usable = [Match(target, score) for target, score in scores.items() if _usable(mind, target)]
    return tuple(sorted(usable, key=lambda match: -match.score))


def _names_it(mind: Mind, state: State, skill: Skill, text: str) -> bool:
    """Whether the utterance names a thing the skill is about, or points at one just offered."""
    entities = {slot.name for slot in skill.slots if slot.kind == "entity"}
    return bool(entities & collect(mind, replace(state, focus={}), skill, text).keys())


def _lacks_entity(state: State, skill: Skill) -> bool:
    return any(slot.required and slot.entity and slot.entity not in state.focus for slot in skill.slots)


def _points_back(mind: Mind, state: State, skill: Skill, text: str) -> bool:
    """Whether the utterance speaks of the thing in focus, and the skill is about such things."""
    focused = any(slot.kind == "entity" and slot.entity in state.focus for slot in skill.slots)
    return focused and refers_back(text)


def _evidence(mind: Mind, state: State, skill: Skill, text: str) -> int:
    found = collect(mind, state, skill, text)
    strong = [slot for slot in skill.slots if slot.kind in _STRONG and slot.name in found]
    entities = [slot for slot in skill.slots if slot.kind == "entity" and slot.required]
    missing = [slot for slot in entities if slot.name not in found]
    if missing and refers_back(text):
        return 0
    return len(strong)


def _usable(mind: Mind, target: Target) -> bool:
    return target.kind != "colleague" or target.key in mind.colleagues
