"""What a call adds to the sums."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control_api.analytics.tally import (
    Slot,
    Tally,
    difference,
    hour_of,
    measure_of,
    moment_of,
    packed,
    unpacked,
)
from voicegate.kernel.events import (
    Event,
    Failure,
    Latency,
    Notice,
    ReplyInterrupted,
    SessionStarted,
    TurnCommitted,
)
from voicegate.kernel.ids import SessionId

BEGAN = datetime(2026, 11, 21, 9, 59, 58, tzinfo=UTC)
HOUR = hour_of(BEGAN)

AMOUNTS = st.dictionaries(
    st.builds(Slot, st.integers(0, 10**6), st.sampled_from(["turns", "errors"]), st.sampled_from(["", "a", "b/c"])),
    st.integers(1, 9),
)


def made(seq: int, event: Callable[..., Event], **values: Any) -> Event:
    return event(session_id=SessionId("s"), seq=seq, at=BEGAN + timedelta(seconds=seq), **values)


LATENCY = {"endpointing_ms": 260.0, "stt_ms": 40.0, "agent_ms": 50.0, "tts_ms": 30.0, "playout_ms": 0.0}
CALL = [
    made(1, SessionStarted, agent="Teller"),
    made(2, TurnCommitted, text="Hello?"),
    made(3, Latency, voice_to_voice_ms=380.0, **LATENCY),
    made(4, ReplyInterrupted, heard="a", cut="b"),
    made(5, Failure, code="provider_failed", message="x", stage="tts"),
    made(6, Failure, code="fault", message="x"),
    made(7, Notice, code="redis away!", message="x"),
]


def tallied(events: list[Event]) -> Tally:
    tally = Tally()
    for event in events:
        tally.apply(event)
    return tally


def test_a_call_that_goes_on() -> None:
    later = HOUR + 1
    assert moment_of(later) == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert tallied(CALL).amounts(BEGAN, None, "", 0, {}) == {
        Slot(HOUR, "calls", ""): 1,
        Slot(later, "turns", "speech"): 1,
        Slot(later, measure_of("total"), "137"): 1,
        Slot(later, measure_of("endpointing"), "128"): 1,
        Slot(later, measure_of("stt"), "85"): 1,
        Slot(later, measure_of("agent"), "90"): 1,
        Slot(later, measure_of("tts"), "78"): 1,
        Slot(later, measure_of("playout"), "0"): 1,
        Slot(later, "interruptions", "barge_in"): 1,
        Slot(later, "errors", "tts/provider_failed"): 1,
        Slot(later, "errors", "fault"): 1,
        Slot(later, "notices", "other"): 1,
    }


def test_a_call_that_is_over() -> None:
    ended_at = BEGAN + timedelta(seconds=8.5)
    assert Tally().amounts(BEGAN, ended_at, "client", 12, {}) == {
        Slot(HOUR, "calls", ""): 1,
        Slot(HOUR, "ended", "client"): 1,
        Slot(HOUR, "milliseconds", ""): 8500,
        Slot(HOUR, "cost", ""): 12,
    }


def test_a_clock_that_went_back_makes_no_call_shorter_than_nothing() -> None:
    found = Tally().amounts(BEGAN, BEGAN - timedelta(hours=1), "lost", 0, {})
    assert found[Slot(HOUR, "milliseconds", "")] == 0


@given(st.lists(st.integers(0, len(CALL) - 1), max_size=20))
def test_events_that_come_again_add_nothing(again: list[int]) -> None:
    once = tallied(CALL)
    more = tallied(CALL)
    for index in again:
        more.apply(CALL[index])
    assert more.amounts(BEGAN, None, "", 0, {}) == once.amounts(BEGAN, None, "", 0, {})


@given(AMOUNTS, AMOUNTS)
def test_the_difference_leads_from_one_to_the_other(now: dict[Slot, int], before: dict[Slot, int]) -> None:
    sums = dict(before)
    for slot, change in difference(now, before).items():
        sums[slot] = sums.get(slot, 0) + change
    assert {slot: amount for slot, amount in sums.items() if amount} == now
    assert difference(now, now) == {}


@given(AMOUNTS)
def test_amounts_are_kept_and_found_again(amounts: dict[Slot, int]) -> None:
    assert unpacked(packed(amounts)) == amounts


def test_a_call_whose_beginning_is_forgotten_keeps_what_was_noted_of_it() -> None:
    noted = tallied(CALL).amounts(BEGAN, BEGAN, "lost", 0, {})
    late = tallied(CALL[3:])
    assert late.amounts(BEGAN, None, "", 5, noted) == {
        **tallied(CALL).amounts(BEGAN, None, "", 0, {}),
        Slot(HOUR, "cost", ""): 5,
    }
