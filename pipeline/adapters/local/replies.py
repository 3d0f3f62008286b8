"""The wording around what an agent says: short, spoken, and not twice the same in a row. Pure."""

from dataclasses import replace
from datetime import date, time

from pipeline.adapters.local.calendar import say_day, say_time
from pipeline.adapters.local.moves import Say
from pipeline.adapters.local.persona import Slot
from pipeline.adapters.local.state import State, Step
from pipeline.adapters.local.values import Value
from pipeline.adapters.spoken_numbers import cardinal

DOUBT = "I think I heard:"
_ACKS = ("Great.", "Lovely.", "Thank you.", "Right.")
_ANYTHING_ELSE = ("Is there anything else I can help with?", "Anything else I can do for you?", "What else can I do?")


def say(state: State, text: str, question: str = "", *, closing: bool = False) -> Step:
    """Say it, with the question at the end; the question stays open."""
    whole = " ".join(part for part in (state.prefix, text, question) if part)
    spoken = replace(state, prefix="", said=whole, question=question, closing=closing, turns=state.turns + 1)
    return spoken, Say(whole)


def repeat(state: State, words: str, before: str = "") -> Step:
    """Say something again; nothing else changes."""
    return replace(state, turns=state.turns + 1), Say(f"{before} {words}".strip())


def ack(state: State) -> str:
    """A word that shows we understood."""
    return _ACKS[state.turns % len(_ACKS)]


def anything_else(state: State) -> str:
    return _ANYTHING_ELSE[state.turns % len(_ANYTHING_ELSE)]


def quote(text: str) -> str:
    """What we heard, short enough to be said back."""
    words = text.strip(" .?!,").split()
    return " ".join(words[:9]) + ("…" if len(words) > 9 else "")


def listed(names: tuple[str, ...] | list[str], word: str = "or") -> str:
    """ "a, b or c"."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def spoken(slot: Slot, value: Value, today: date) -> str:
    """The value as words to say back."""
    match slot.kind, value:
        case "day", str():
            return say_day(date.fromisoformat(value), today)
        case "time", str():
            return say_time(time.fromisoformat(value))
        case "money", int():
            return f"{cardinal(value)} pounds"
        case _, int():
            return cardinal(value)
        case _, tuple():
            return " and ".join(value)
        case _:
            return value
