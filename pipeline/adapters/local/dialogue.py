"""The local agent's mind: a conversation's items in, the next move out.

The state of a dialogue is a fold over the conversation: every turn the items are replayed through the same pure steps
that produced the replies, so nothing has to be kept between turns and any process can answer the next one. A reply the
caller never heard, or one that another model gave, changes nothing in that: what counts is what the caller said, which
tools ran, and what they returned.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from agents import FunctionTool

from pipeline.adapters.agent_input import Note, read_note
from pipeline.adapters.local.derive import derived_skill, known_words
from pipeline.adapters.local.forms import question
from pipeline.adapters.local.moves import Call, Move, Say
from pipeline.adapters.local.persona import Colleague, Persona, Skill
from pipeline.adapters.local.replies import DOUBT, say
from pipeline.adapters.local.results import returned, took
from pipeline.adapters.local.retrieval import Index
from pipeline.adapters.local.state import Mind, State, Step, Target
from pipeline.adapters.local.talk import answer, doubt

_TRANSFER = "transfer_to_"
_REMEMBERED = 2048
"""Prefixes of conversations kept, so that a turn replays only what is new. A cache: losing it costs milliseconds."""


@dataclass(frozen=True, slots=True)
class _Fold:
    """Where the replay of a conversation stands after some item."""

    state: State
    move: Move
    mine: bool
    """The conversation is with our persona now."""
    before: State = field(default_factory=State)
    """The state before the caller's last words."""
    heard: str = ""
    """The caller's last words, to whichever agent."""
    names: tuple[tuple[str, str], ...] = ()
    """Ids and names of tool calls."""


class LocalDialogue:
    """Decides for one persona. Holds no conversation. ``today`` gives the date where the business is."""

    def __init__(self, persona: Persona, *, today: Callable[[], date]) -> None:
        self._persona = persona
        self._today = today
        self._minds: dict[tuple[str, ...], Mind] = {}
        self._folds: OrderedDict[bytes, _Fold] = OrderedDict()

    def decide(self, items: Sequence[Any], tools: Sequence[FunctionTool], agents: Sequence[str]) -> Move:
        """The next move (see :class:`pipeline.adapters.local_model.Dialogue`)."""
        key = (*(tool.name for tool in tools), "/", *agents)
        mind = self._mind(key, tools, agents)
        fold = _Fold(State(), Say(self._persona.about.offer), self._begins(items))
        digest = repr((key, fold.mine, self._today())).encode()
        for item in items:
            digest = blake2b(digest + repr(item).encode(), digest_size=16).digest()
            known = self._folds.get(digest)
            fold = known if known is not None else _next(mind, fold, item)
            self._folds[digest] = fold
            self._folds.move_to_end(digest)
        while len(self._folds) > _REMEMBERED:
            self._folds.popitem(last=False)
        return fold.move

    def _begins(self, items: Sequence[Any]) -> bool:
        handed = any(str(item.get("name", "")).startswith(_TRANSFER) for item in items)
        return self._persona.about.starts or not handed

    def _mind(self, key: tuple[str, ...], tools: Sequence[FunctionTool], agents: Sequence[str]) -> Mind:
        if key not in self._minds:
            self._minds[key] = _make_mind(self._persona, {tool.name: tool for tool in tools}, agents, self._today)
        return self._minds[key]


def _next(mind: Mind, fold: _Fold, item: Any) -> _Fold:
    """The fold after one more item."""
    kind, names = item.get("type", "message"), dict(fold.names)
    if kind == "function_call":
        state = fold.state
        if fold.mine and not item["name"].startswith(_TRANSFER):
            state = took(mind, state, item["name"], item["arguments"])
        return replace(fold, state=state, names=(*fold.names, (item["call_id"], item["name"])))
    if kind == "function_call_output":
        return _output(mind, fold, names.get(item["call_id"], ""), str(item["output"]))
    if item.get("role") == "user":
        note = read_note(_text(item))
        heard = replace(fold, heard=note.text or fold.heard, before=fold.state)
        if not fold.mine:
            return heard
        state, move = _hear(mind, fold.state, note)
        return replace(heard, state=state, move=move)
    if fold.mine and item.get("role") == "assistant" and _text(item).startswith(DOUBT):
        # The note that the words were doubtful is not in the history; our question about them is.
        state, move = doubt(fold.before, fold.heard)
        return replace(fold, state=state, move=move)
    return fold


def _output(mind: Mind, fold: _Fold, tool: str, output: str) -> _Fold:
    if tool.startswith(_TRANSFER):
        if _transferred_to(output) != mind.persona.about.agent:
            return replace(fold, mine=False)
        state, move = _take_over(mind, fold.state, fold.heard)
        return replace(fold, mine=True, before=fold.state, state=state, move=move)
    if not fold.mine:
        return fold
    state, move = returned(mind, fold.state, tool, output)
    return replace(fold, state=state, move=move)


def _hear(mind: Mind, state: State, note: Note) -> Step:
    about = mind.persona.about
    match note.kind:
        case "greeting":
            return say(state, about.greeting)
        case "idle":
            return _nudge(mind, state)
        case "resume":
            open_question = question(mind, state.form) if state.form else state.question
            return say(state, "Sorry about that, the line dropped.", open_question or "Where were we?")
        case "answer" if note.doubtful:
            return doubt(state, note.text)
        case "answer":
            return answer(mind, state, note.text)


def _nudge(mind: Mind, state: State) -> Step:
    open_question = question(mind, state.form) if state.form else state.question
    nudged, move = say(state, "Are you still there?", open_question or "Take your time.")
    return replace(nudged, question=open_question, closing=state.closing), move


def _take_over(mind: Mind, state: State, heard: str) -> Step:
    """First words after a handoff to us: who we are, then the matter that led to it."""
    about = mind.persona.about
    fresh = replace(state, form=None, then="", choices=(), prefix=about.takeover)
    after, move = answer(mind, fresh, heard) if heard else (state, None)
    match move:
        case Say() if after.misses == state.misses and not after.closing:
            return after, move
        case Call():
            return after, move
        case _:
            return say(state, about.takeover, about.offer)


def _make_mind(
    persona: Persona, tools: Mapping[str, FunctionTool], agents: Sequence[str], today: Callable[[], date]
) -> Mind:
    skills: dict[str, Skill] = {skill.tool: skill for skill in persona.about.skill if skill.tool in tools}
    inner = {persona.about.end_tool, *(skill.check for skill in skills.values())}
    for name, tool in tools.items():
        if name not in skills and name not in inner:
            skills[name] = derived_skill(tool)
    colleagues = [colleague for colleague in persona.about.colleague if colleague.agent in agents]
    colleagues += [_stranger(agent) for agent in agents if agent not in {other.agent for other in colleagues}]
    examples = [(Target("skill", key, skill.title), text) for key, skill in skills.items() for text in skill.examples]
    examples += [(Target("passage", p.topic, p.topic), text) for p in persona.about.passage for text in p.questions]
    examples += [(Target("colleague", c.agent, c.title), text) for c in colleagues for text in c.examples]
    index = Index(examples or [(Target("passage", "", ""), "nothing")], known_words(persona, skills.values()))
    return Mind(persona, index, tools, agents, skills, today)


@lru_cache(maxsize=256)
def _stranger(agent: str) -> Colleague:
    return Colleague(
        agent=agent, title=f"to speak to {agent}", examples=(f"speak to {agent}", f"put me through to {agent}")
    )


def _transferred_to(output: Any) -> str:
    try:
        return str(json.loads(output)["assistant"])
    except (ValueError, KeyError, TypeError):
        return ""


def _text(item: Mapping[str, Any]) -> str:
    content = item.get("content", "")
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content)
