"""The fold of usage."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from control_api.credits.meter import Meter
from voicegate.kernel.events import Notice, Usage
from voicegate.kernel.ids import SessionId

AT = datetime(2026, 1, 1, tzinfo=UTC)


def usage(seq: int) -> Usage:
    return Usage(
        session_id=SessionId("s"), seq=seq, at=AT, stage="stt", provider="p", quantity=float(seq), unit="seconds"
    )


@given(st.lists(st.integers(1, 30)))
def test_events_may_come_twice_and_in_any_order(seqs: list[int]) -> None:
    meter = Meter()
    for seq in seqs:
        meter.apply(usage(seq))
    assert list(meter.pending()) == [usage(seq) for seq in sorted(set(seqs))]


def test_only_usage_counts_and_what_is_written_is_forgotten() -> None:
    meter = Meter()
    meter.apply(Notice(session_id=SessionId("s"), seq=1, at=AT, code="c", message="m"))
    assert meter.pending() == []
    meter.apply(usage(2))
    meter.written()
    assert meter.pending() == []
