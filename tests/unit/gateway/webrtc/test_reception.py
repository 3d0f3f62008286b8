"""Receiver reports: losses, jitter and round trips as RFC 3550 counts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.reception import Reception
from gateway.webrtc.rtcp import ntp_middle, ntp_time

FRAME = 960


def fed(*numbers: int, first: int = 0, jitter_ms: float = 0.0) -> Reception:
    reception = Reception(7, first + numbers[0] & 0xFFFF)
    for place, number in enumerate(numbers):
        at_s = number * 0.02 + (place % 2) * jitter_ms / 1000
        reception.received(first + number & 0xFFFF, number * FRAME & 0xFFFF_FFFF, at_s)
    return reception


def test_nothing_lost() -> None:
    block = fed(*range(10)).block(1.0)
    assert (block.ssrc, block.fraction_lost, block.lost, block.highest_sequence, block.jitter) == (7, 0, 0, 9, 0)


def test_a_fraction_of_the_time_since_the_last_report() -> None:
    reception = fed(0, 1, 2, 3, 5, 6, 7)
    assert (first := reception.block(1.0)).fraction_lost == 32  # one of eight, of 256
    assert first.lost == 1
    reception.received(8, 8 * FRAME, 0.16)
    assert (second := reception.block(2.0)).fraction_lost == 0
    assert second.lost == 1
    assert reception.block(3.0).fraction_lost == 0, "nothing was expected since"


def test_numbers_that_wrap_are_counted_on() -> None:
    block = fed(*range(12), first=65_530).block(1.0)
    assert (block.highest_sequence, block.lost) == (65_541, 0)


def test_duplicates_make_up_for_losses_as_the_standard_has_it() -> None:
    block = fed(0, 1, 1, 1).block(1.0)
    assert (block.lost, block.fraction_lost) == (-2, 0)


def test_an_overtaken_packet_is_not_the_highest() -> None:
    assert fed(0, 1, 3, 2).block(1.0).highest_sequence == 3


def test_jitter_settles_at_the_difference_of_transit_times() -> None:
    reception = fed(*range(400), jitter_ms=10)
    assert reception.jitter_ms == pytest.approx(10, rel=0.01)
    assert reception.block(1.0).jitter == pytest.approx(480, rel=0.01)


def test_a_leap_of_the_timestamps_is_no_jitter() -> None:
    reception = fed(0, 1, 2)
    reception.received(3, 3_000_000_000, 0.06)
    reception.received(4, 3_000_000_000 + FRAME, 0.08)
    assert reception.jitter_ms == pytest.approx(0, abs=0.01)


def test_a_sender_that_counts_anew_owes_nothing() -> None:
    reception = fed(0, 1, 2)
    reception.received(30_000, 3 * FRAME, 0.06)
    block = reception.block(1.0)
    assert (block.lost, block.highest_sequence) == (0, 30_000)


def test_a_sender_report_is_answered_by_its_time_and_age() -> None:
    reception = fed(0)
    assert (reception.block(1.0).last_report, reception.block(1.0).since_last_report) == (0, 0)
    ntp = ntp_time(1234.5)
    reception.sender_report(ntp, 2.0)
    block = reception.block(3.5)
    assert (block.last_report, block.since_last_report) == (ntp_middle(ntp), 98_304)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), st.floats(0, 1e6)), max_size=50))
def test_any_packets_give_a_report_that_fits_its_fields(packets: list[tuple[int, int, float]]) -> None:
    reception = Reception(1, 0)
    for sequence, timestamp, at_s in packets:
        reception.received(sequence, timestamp, at_s)
        block = reception.block(at_s)
        assert 0 <= block.fraction_lost <= 255
        assert 0 <= block.highest_sequence < 1 << 32
        assert 0 <= block.jitter < 1 << 32
