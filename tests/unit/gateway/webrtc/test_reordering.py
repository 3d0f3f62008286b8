"""Whose number is believed: one packet that lies about its place costs itself, and no other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.reordering import ANEW, Reordering

FRAME = 960
COUNT = 300


def played(changes: dict[int, tuple[int, int]], *, first: int = 0) -> tuple[list[int], ReceiverCounts]:
    """What comes out of 300 packets in time, of which some say another sequence number and timestamp."""
    counts = ReceiverCounts()
    order = Reordering(counts)
    out: list[int] = []
    for number in range(COUNT):
        sequence, timestamp = changes.get(number, (first + number, number * FRAME))
        for at_s, due in (
            (
                number * 0.02,
                order.put(sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, FRAME, b"%d" % number, number * 0.02),
            ),
            (number * 0.02 + 0.01, order.advance(number * 0.02 + 0.01)),
        ):
            assert all(packet.arrived_s <= at_s for packet, _ in due)
            out += [int(packet.payload) for packet, _ in due]
    return out + [int(packet.payload) for packet, _ in order.advance(COUNT * 0.02 + 1)], counts


@pytest.mark.parametrize("at", [1, 2, 50, 200])
@pytest.mark.parametrize("off", [1, 2, 5, 16, 17, 40, 100, 127, 128, 399, 401, 5_000, 32_768, -1, -2, -30, -127, -200])
def test_a_wrong_sequence_number_costs_itself_and_whoever_has_it_by_right(at: int, off: int) -> None:
    out, _ = played({at: (at + off, at * FRAME)}, first=0)
    others = [number for number in range(COUNT) if number not in (at, at + off)]
    assert [number for number in out if number in others] == others


@pytest.mark.parametrize("at", [0, 1, 50, 200])
@pytest.mark.parametrize("off", [1, 480, 9_600, 100_000, 1 << 31, -1, -9_600, -(1 << 20)])
def test_a_wrong_timestamp_costs_nothing_here(at: int, off: int) -> None:
    out, counts = played({at: (at, at * FRAME + off)})
    assert out == list(range(COUNT))
    assert counts.lost == 0


@pytest.mark.parametrize("off", [1, 2, 5, 16, 100, 127, 128, 399, 5_000, 32_768, -1, -2, -30, -127, -200])
def test_if_it_is_the_very_first_the_stream_is_found_again(off: int) -> None:
    """There is nothing yet to doubt it by."""
    out, _ = played({0: (off, 0)})
    assert out[-COUNT + 6 :] == list(range(6, COUNT))


@given(
    at=st.integers(1, 250),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    first=st.integers(0, 0xFFFF),
)
@settings(deadline=None)
def test_any_lie_costs_at_most_two_packets(at: int, sequence: int, timestamp: int, first: int) -> None:
    out, _ = played({at: (sequence, timestamp)}, first=first)
    stolen = at + ((sequence - first - at + 0x8000 & 0xFFFF) - 0x8000)
    others = [number for number in range(COUNT) if number not in (at, stolen)]
    assert [number for number in out if number in others] == others


def test_the_first_packet_and_one_after_a_restart_are_connected_to_nothing() -> None:
    order = Reordering(ReceiverCounts())
    [(_, lost)] = order.put(5, 0, FRAME, b"", 0.0)
    assert lost == ANEW
    [(_, lost)] = order.put(6, FRAME, FRAME, b"", 0.02)
    assert lost == 0
    assert order.put(40_000, 0, FRAME, b"", 0.04) == ()
    assert [lost for _, lost in order.put(40_001, FRAME, FRAME, b"", 0.06)] == [ANEW, 0]


def test_an_old_path_that_empties_itself_restarts_nothing() -> None:
    """Four stragglers in a row are no proof, and the stream goes on between them."""
    counts = ReceiverCounts()
    order = Reordering(counts)
    order.put(0, 0, FRAME, b"", 0.0)
    order.put(100, 100 * FRAME, FRAME, b"", 2.0)
    order.put(101, 101 * FRAME, FRAME, b"", 2.02)
    for number in range(1, 60):
        order.put(number, number * FRAME, FRAME, b"", 2.1)
        if number % 4 == 0:
            order.put(101 + number // 4, (101 + number // 4) * FRAME, FRAME, b"", 2.1)
    assert counts.restarts == 0


def test_one_who_counts_a_little_back_is_followed_after_five() -> None:
    counts = ReceiverCounts()
    order = Reordering(counts)
    order.put(100, 0, FRAME, b"", 0.0)
    due = [each for number in range(50, 56) for each in order.put(number, number * FRAME, FRAME, b"", 0.1)]
    assert [packet.number for packet, _ in due] == list(range(50, 56))
    assert counts.restarts == 1


def test_after_an_outage_packets_may_come_in_any_order() -> None:
    counts = ReceiverCounts()
    order = Reordering(counts)
    order.put(0, 0, FRAME, b"", 0.0)
    due = [
        packet.number
        for number in (103, 101, 102, 104)
        for packet, _ in order.put(number, number * FRAME, FRAME, b"", 2.1)
    ]
    due += [packet.number for packet, _ in order.advance(2.3)]
    assert due == [101, 102, 103, 104]
    assert (counts.lost, counts.restarts) == (100, 0)
