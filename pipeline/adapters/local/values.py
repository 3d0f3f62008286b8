"""Values of slots in what a caller said. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from pipeline.adapters.local.acts import Act, acts
from pipeline.adapters.local.calendar import read_day, read_time
from pipeline.adapters.local.entities import named, position
from pipeline.adapters.local.numbers import Number, numbers
from pipeline.adapters.local.persona import Entity, Slot
from pipeline.adapters.local.words import clean, is_content, listed, stem, tokens

Value: TypeAlias = str | int | tuple[str, ...]
"""ISO date or time, name, choice: str; number, pounds, page: int; flags: tuple."""

ANY = "any"
"""The caller has no preference; the argument is left out."""

_PRONOUNS = re.compile(
    r"\b(it|that one|this one|that (house|flat|place|home|property|cottage|apartment)"
    r"|this (house|flat|place|home|property|cottage|apartment)|the (house|flat|cottage|place|apartment|property)"
    r"|(?<!are )(?<!is )there(?! (is|are|any)))\b"
)
_NAME = re.compile(
    r"\b(?:my (?:full )?name is|name is|i am|this is|it is|call me|under the name(?: of)?|in the name of|under"
    r"|for|i am called)\s+((?:[a-z][a-z'-]*\s*){1,4})$"
)
_NOT_NAMES = frozenset(
    listed(
        "the a an in on at not looking interested calling sorry sure good fine ok okay happy just free "
        "available for to about yes no said mean meant who what when where why how do can is it tomorrow "
        "today monday tuesday wednesday thursday friday saturday sunday"
    )
)


_NO_NAME = frozenset({Act.NO, Act.CANCEL, Act.WAIT, Act.REPEAT, Act.BYE, Act.HELP, Act.WHO, Act.HOW_ARE_YOU, Act.UPSET})


@dataclass(frozen=True, slots=True)
class Scene:
    """What a reader may know besides the words."""

    today: date
    entities: tuple[Entity, ...] = ()
    focus: str = ""
    """The entity being talked about."""
    offered: Sequence[str] = ()
    """Entities last offered, in order."""
    previous: Value | None = None
    """The slot's value before, for "anything cheaper" and "the next ones"."""


def read(slot: Slot, text: str, scene: Scene, *, awaited: bool = False) -> Value | None:
    """The slot's value in ``text``, or None. ``awaited``: the caller was just asked for it, so less will do."""
    words = tokens(text)
    match slot.kind:
        case "day":
            day = read_day(words, scene.today, awaited)
            return day.isoformat() if day else None
        case "time":
            clock = read_time(words, awaited)
            return clock.strftime("%H:%M") if clock else None
        case "number":
            return _read_number(slot, words, awaited)
        case "money":
            return _read_money(words, scene, awaited)
        case "person":
            return _read_person(text, awaited)
        case "entity":
            return _read_entity(text, words, scene, awaited)
        case "choice":
            return next(iter(_choices(slot, words)), None)
        case "flags":
            return tuple(_choices(slot, words)) or None
        case "page":
            more = re.search(
                r"\b(any (others|more)|anything else|what else|other (ones|homes|options)|the next)\b", text
            )
            return (scene.previous if isinstance(scene.previous, int) else 1) + 1 if more else None
        case "text":
            return text if awaited else None


def refers_back(text: str) -> bool:
    """Whether it speaks of something mentioned before ("it", "that one")."""
    return bool(_PRONOUNS.search(clean(text)))


def _read_number(slot: Slot, words: tuple[str, ...], awaited: bool) -> int | None:
    found = numbers(words)
    for number in found:
        if words[number.end : number.end + 1] and words[number.end] in slot.unit:
            return int(number.value)
    if "studio" in words and "bedroom" in slot.unit:
        return 0
    plain = [number for number in found if not slot.unit or number.value <= 20]
    return int(plain[0].value) if awaited and plain else None


def _read_money(words: tuple[str, ...], scene: Scene, awaited: bool) -> int | None:
    if {"cheaper", "less"} & set(words) and isinstance(scene.previous, int):
        step = 10 if scene.previous < 10_000 else 10_000
        return int(scene.previous * 0.85) // step * step
    text = " ".join(words)
    found = [*_joined(numbers(words))]
    if "half a million" in text:
        return 500_000
    sums = []
    for number in found:
        before = words[max(0, number.start - 2) : number.start]
        after = words[number.end] if number.end < len(words) else ""
        monthly = {"month", "pcm"} & set(words[number.end : number.end + 2])
        marked = {"under", "below", "to", "than", "around", "about", "budget", "max", "maximum", "spend", "over"} & set(
            before
        )
        if after in ("bed", "beds", "bedroom", "bedrooms", "day", "days", "o'clock", "minutes"):
            continue
        if (
            number.value >= 10_000
            or monthly
            or after in ("pounds", "quid")
            or (marked and number.value >= 100)
            or (awaited and number.value >= 2)
            or (marked and "budget" in words)
        ):
            sums.append(number.value)
    if not sums:
        return None
    biggest = max(sums)
    return int(biggest * 1000 if biggest < 1000 and awaited and not {"month", "pcm"} & set(words) else biggest)


def _joined(found: list[Number]) -> list[Number]:
    """ "three fifty" in a sum of money is three hundred and fifty."""
    out: list[Number] = []
    for number in found:
        last = out[-1] if out else None
        if last and last.end == number.start and last.value < 10 and 10 <= number.value < 100:
            out[-1] = Number(last.value * 100 + number.value, last.start, number.end)
        else:
            out.append(number)
    return out


def _read_person(text: str, awaited: bool) -> str | None:
    flat = re.sub(r"[^a-z' -]+", " ", clean(text)).strip()
    flat = re.sub(r"\b(please|thanks|thank you|yes|yeah|sure|ok|okay|um|uh|well|so)\b", " ", flat).strip()
    flat = " ".join(flat.split())
    if found := _NAME.search(flat):
        explicit = "name" in found.group(0) or "call" in found.group(0)
        if (explicit or awaited) and (name := _name(found.group(1).split())):
            return name
    if awaited and flat and len(flat.split()) <= 3 and not acts(flat) & _NO_NAME:
        return _name(flat.split())
    return None


def _name(words: list[str]) -> str | None:
    if not words or any(word in _NOT_NAMES for word in words) or all(not is_content(word) for word in words):
        return None
    return " ".join(part.capitalize() for part in words if part not in ("please", "and"))


def _read_entity(text: str, words: tuple[str, ...], scene: Scene, awaited: bool) -> str | None:
    if name := named(words, scene.entities):
        return name
    if (place := position(words, awaited)) is not None and scene.offered:
        return scene.offered[place] if -len(scene.offered) <= place < len(scene.offered) else None
    if "other" in words and len(scene.offered) == 2 and scene.focus in scene.offered:
        return next(name for name in scene.offered if name != scene.focus)
    if scene.focus and (refers_back(text) or (awaited and acts(text) & {Act.YES})):
        return scene.focus
    return None


def _choices(slot: Slot, words: tuple[str, ...]) -> list[str]:
    stems = [stem(word) for word in words]
    found = []
    for value, ways in slot.choices.items():
        for way in (value, *ways):
            parts = [stem(word) for word in tokens(way.replace("_", " "))]
            if any(stems[at : at + len(parts)] == parts for at in range(len(stems) - len(parts) + 1)):
                found.append(value)
                break
    return found
