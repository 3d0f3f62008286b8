"""Packets that may reach SCTP, and those that would cost too much."""

import time
from struct import pack

import pytest
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.sctp_guard import MAX_AHEAD, MAX_CHUNKS, MAX_STREAM_ID, SctpGuard

FIRST = 0xFFFF_FFF0


def packet(*chunks: bytes) -> bytes:
    body = b"".join(chunk + bytes(-len(chunk) % 4) for chunk in chunks)
    head = pack("!HHI", 5000, 5000, 1)
    return head + pack("<I", crc32c(head + bytes(4) + body)) + body


def chunk(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    return pack("!BBH", kind, flags, 4 + len(body)) + body


def data(number: int, stream: int = 0, text: bytes = b"x") -> bytes:
    return chunk(0, pack("!IHHI", number & 0xFFFF_FFFF, stream, 0, 51) + text, 3)


def sack(*gaps: tuple[int, int], duplicates: int = 0, claimed: int | None = None) -> bytes:
    body = pack("!IIHH", 1, 1000, len(gaps) if claimed is None else claimed, duplicates)
    return chunk(3, body + b"".join(pack("!HH", *gap) for gap in gaps) + bytes(4 * duplicates))


def forward(number: int, *streams: int) -> bytes:
    return chunk(192, pack("!I", number & 0xFFFF_FFFF) + b"".join(pack("!HH", each, 0) for each in streams))


def begun() -> SctpGuard:
    guard = SctpGuard()
    assert guard.allows(packet(chunk(1, pack("!IIHHI", 7, 1000, 10, 10, FIRST))))
    return guard


def test_a_conversation() -> None:
    guard = begun()
    for n in (0, 1, 3, 2, 2, 20):
        assert guard.allows(packet(data(FIRST + n)))
    assert guard.allows(packet(sack(), data(FIRST + 4), chunk(4, b"beat")))
    assert guard.allows(packet(sack((2, 3), (5, 9), duplicates=2)))
    assert guard.allows(packet(chunk(130, bytes(20))))
    assert guard.allows(packet(chunk(77, b"unknown")))


def test_data_before_the_beginning() -> None:
    assert not SctpGuard().allows(packet(data(1)))
    assert not SctpGuard().allows(packet(forward(1)))


def test_an_init_that_comes_again_does_not_move_what_is_known() -> None:
    guard = begun()
    assert guard.allows(packet(data(FIRST + 3)))
    assert guard.allows(packet(chunk(2, pack("!IIHHI", 7, 1000, 10, 10, 5))))
    assert guard.allows(packet(data(FIRST + 2)))
    assert not guard.allows(packet(data(5 + MAX_AHEAD + 20)))


def test_how_far_ahead() -> None:
    guard = begun()
    assert guard.allows(packet(data(FIRST + MAX_AHEAD)))
    assert not guard.allows(packet(data(FIRST + MAX_AHEAD + 1)))
    assert guard.allows(packet(data(FIRST)))
    assert guard.allows(packet(data(FIRST + MAX_AHEAD + 1)))
    assert guard.allows(packet(data(FIRST - 5))), "seen before: acknowledged again"


def test_giving_up_moves_on() -> None:
    guard = begun()
    assert guard.allows(packet(data(FIRST + 2)))
    assert guard.allows(packet(forward(FIRST + 9, 0)))
    assert guard.allows(packet(data(FIRST + 9 + MAX_AHEAD)))
    assert guard.allows(packet(forward(FIRST)))
    assert not guard.allows(packet(forward(FIRST + 10 + 2 * MAX_AHEAD)))
    assert not guard.allows(packet(forward(FIRST + 11, MAX_STREAM_ID + 1)))
    assert not guard.allows(packet(chunk(192, bytes(5))))


@pytest.mark.parametrize(
    "refused",
    [
        data(FIRST, MAX_STREAM_ID + 1),
        data(FIRST, text=b""),
        chunk(0),
        chunk(1, bytes(15)),
        chunk(3, bytes(11)),
        sack((1, 65_535)),
        sack((2, 1)),
        sack((5, 9), (3, 4)),
        sack((0, 4)),
        sack(claimed=9),
        sack(*[(2 * n + 1, 2 * n + 1) for n in range(65)]),
        chunk(130, bytes(400)),
        pack("!BBH", 0, 0, 3),
        pack("!BBH", 0, 0, 100),
    ],
)
def test_what_is_refused(refused: bytes) -> None:
    assert not begun().allows(packet(refused))


def test_many_chunks_and_wrong_sums() -> None:
    assert begun().allows(packet(*[chunk(4)] * MAX_CHUNKS))
    assert not begun().allows(packet(*[chunk(4)] * (MAX_CHUNKS + 1)))
    broken = bytearray(packet(data(FIRST)))
    broken[-1] ^= 1
    assert not begun().allows(bytes(broken))
    assert not begun().allows(b"")


def test_no_packet_costs_much() -> None:
    guard = begun()
    dear = packet(*[data(FIRST + n) for n in range(MAX_CHUNKS)])
    took = []
    for _ in range(20):
        began = time.perf_counter()
        guard.allows(dear)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.002


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([0, 1, 2, 3, 130, 192]))
def test_any_packet_is_judged(bodies: list[bytes], kind: int) -> None:
    guard = begun()
    guard.allows(packet(*[chunk(kind, body) for body in bodies]))
    assert guard.allows(packet(chunk(4)))
