"""Small talk, farewells, and what to say when nothing fits. Pure."""

import json
from dataclasses import replace

from pipeline.adapters.local.acts import Act
from pipeline.adapters.local.forms import question
from pipeline.adapters.local.matching import MAYBE
from pipeline.adapters.local.moves import Call
from pipeline.adapters.local.replies import anything_else, listed, quote, repeat, say
from pipeline.adapters.local.retrieval import Match
from pipeline.adapters.local.state import Mind, State, Step, Target


def goodbye(mind: Mind, state: State) -> Step:
    """End the call, by the tool for it where there is one."""
    about = mind.persona.about
    if about.end_tool in mind.tools:
        return replace(state, form=None), Call(about.end_tool, json.dumps({"reason": "caller said goodbye"}))
    return say(replace(state, form=None), about.farewell)


def social(mind: Mind, state: State, text: str, done: frozenset[Act]) -> Step | None:
    """Small talk, and the acts that need no topic."""
    about = mind.persona.about
    back = question(mind, state.form) if state.form else "How can I help?"
    known = replace(state, misses=0)
    if Act.BYE in done:
        return goodbye(mind, known)
    if Act.WHO in done:
        return say(known, about.introduction, back)
    if Act.HOW_ARE_YOU in done:
        return say(known, about.how_are_you, back)
    if Act.JOKE in done:
        return say(known, about.joke, "" if not state.form else back)
    if Act.HELP in done:
        return say(known, about.offer, back if state.form else "What would you like?")
    if Act.UPSET in done:
        return say(known, "I'm sorry about that.", state.question or "Tell me in your own words, what do you need?")
    if Act.MORE in done and state.topic:
        passage = next(passage for passage in about.passage if passage.topic == state.topic)
        if passage.more:
            return say(replace(known, topic=""), passage.more, passage.follow_up)
        return say(known, "That's all I know about it, I'm afraid.", anything_else(state), closing=True)
    return _short(known, done)


def _short(state: State, done: frozenset[Act]) -> Step | None:
    if Act.THANKS in done:
        return say(state, "You're welcome.", anything_else(state), closing=True)
    if Act.HELLO in done:
        return say(state, "Hello.", state.question or "What can I do for you?")
    if Act.CANCEL in done:
        return say(replace(state, then=""), "All right.", anything_else(state), closing=True)
    if Act.ANY in done:
        return say(state, "No problem.", state.question or "Just tell me what you're looking for.")
    if Act.FILLER in done or (Act.YES in done and not state.question):
        return say(state, "Go ahead, I'm listening.")
    if Act.YES in done:
        return say(state, "Lovely.", "What would you like to know?")
    if Act.NO in done:
        return say(state, "No problem.", anything_else(state), closing=True)
    return None


def unsure(mind: Mind, state: State, text: str, matches: tuple[Match[Target], ...]) -> Step:
    """Nothing fits well: offer what is nearest, or say what we can do."""
    missed = replace(state, misses=state.misses + 1)
    near = [match.target for match in matches if match.score >= MAYBE][:2]
    if near and state.misses < 2:
        titles = listed([target.title for target in near])
        return say(replace(missed, choices=tuple(near)), f"I heard: {quote(text)}.", f"Did you mean {titles}?")
    match missed.misses:
        case 1:
            return say(missed, f"Sorry, I heard: {quote(text)}, and that's beyond me.", mind.persona.about.offer)
        case 2:
            return say(missed, "Sorry, I still don't follow.", "Could you say it another way?")
        case _:
            return say(missed, "I'm afraid I can't help with that.", mind.persona.about.offer)


def hearing(mind: Mind, state: State, done: frozenset[Act]) -> Step:
    """The caller asks whether we hear them, or hears us badly."""
    if Act.PRESENT in done:
        return say(state, "Yes, I can hear you.", state.question or "How can I help?")
    return repeat(state, state.said or mind.persona.about.offer, "I can't change my voice, but here it is again.")
