"""What a call adds to the sums of its organisation: the fold beside :class:`~control_api.conversations.story.Story`.
PURE.

Amounts are whole numbers by (hour, measure, key), so that they can be added and taken away again without a trace. They
follow from the call's events alone: whoever folds the same events has the same amounts.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from control_api.analytics.histogram import bucket_of
from voicegate.kernel.events import Event, Failure, Latency, Notice, ReplyInterrupted, TurnCommitted

Stage: TypeAlias = Literal["total", "endpointing", "stt", "agent", "tts", "playout"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""``total`` is what the caller waited; the others are its parts."""

CALLS, ENDED, SECONDS, COST = "calls", "ended", "milliseconds", "cost"
TURNS, INTERRUPTIONS, ERRORS, NOTICES = "turns", "interruptions", "errors", "notices"

_OF_THE_CALL = frozenset({CALLS, ENDED, SECONDS, COST})

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,50}")
_OTHER = "other"


class Slot(NamedTuple):
    """What an amount is of."""

    hour: int
    """Hours since 1970, UTC."""
    measure: str
    key: str
    """An error's code, why a reply stopped, a histogram's bucket; empty: the measure has no parts."""


Amounts = Mapping[Slot, int]


def measure_of(stage: Stage) -> str:
    """The measure that has a stage's histogram."""
    return f"latency.{stage}"


def hour_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600


def moment_of(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)


class Tally:
    """One call. Feed it events in order."""

    def __init__(self) -> None:
        self._first_seq = self._last_seq = 0
        self._amounts: dict[Slot, int] = {}

    def apply(self, event: Event) -> None:
        """Fold one event; an older one than the last changes nothing."""
        if event.seq <= self._last_seq:
            return
        self._first_seq = self._first_seq or event.seq
        self._last_seq = event.seq
        match event:
            case TurnCommitted():
                self._add(event, TURNS, event.source)
            case ReplyInterrupted():
                self._add(event, INTERRUPTIONS, event.reason)
            case Failure():
                self._add(event, ERRORS, f"{event.stage}/{event.code}" if event.stage else event.code)
            case Notice():
                self._add(event, NOTICES, event.code)
            case Latency():
                self._measure(event)
            case _:
                pass

    def amounts(
        self, began_at: datetime, ended_at: datetime | None, ended_reason: str, cost_micro: int, before: Amounts
    ) -> dict[Slot, int]:
        """All that the call has added up to now. The call itself, its length and its cost count for the hour in which
        it began. ``before``: the same as it was noted last; where the beginning of a long call is forgotten, so that
        its events cannot be counted again, those that were noted stay."""
        began = hour_of(began_at)
        noted = {slot: amount for slot, amount in before.items() if slot.measure not in _OF_THE_CALL}
        found = (self._amounts if self._first_seq <= 1 else noted) | {Slot(began, CALLS, ""): 1}
        if cost_micro:
            found[Slot(began, COST, "")] = cost_micro
        if ended_at is not None:
            found[Slot(began, ENDED, _name(ended_reason))] = 1
            found[Slot(began, SECONDS, "")] = max(0, round((ended_at - began_at).total_seconds() * 1000))
        return found

    def _measure(self, event: Latency) -> None:
        self._add(event, measure_of("total"), str(bucket_of(event.voice_to_voice_ms)))
        for stage in STAGES[1:]:
            self._add(event, measure_of(stage), str(bucket_of(getattr(event, f"{stage}_ms"))))

    def _add(self, event: Event, measure: str, key: str) -> None:
        slot = Slot(hour_of(event.at), measure, _name(key))
        self._amounts[slot] = self._amounts.get(slot, 0) + 1


def difference(now: Amounts, before: Amounts) -> dict[Slot, int]:
    """What must be added to ``before`` to have ``now``."""
    changes = {slot: now.get(slot, 0) - before.get(slot, 0) for slot in now.keys() | before.keys()}
    return {slot: change for slot, change in changes.items() if change}


def packed(amounts: Amounts) -> dict[str, int]:
    """As JSON keeps it."""
    return {f"{slot.hour} {slot.measure} {slot.key}": amount for slot, amount in amounts.items()}


def unpacked(kept: Mapping[str, int]) -> dict[Slot, int]:
    """The inverse of :func:`packed`."""
    found = {}
    for text, amount in kept.items():
        hour, measure, key = text.split(" ")
        found[Slot(int(hour), measure, key)] = amount
    return found


def _name(text: str) -> str:
    """A key that is one of few: whatever else it may be, it is no sentence."""
    return text if _NAME.fullmatch(text) else _OTHER
