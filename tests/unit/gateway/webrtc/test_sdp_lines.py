"""SDP is bounded before it is read."""

import time

import pytest

from gateway.webrtc.offer import read_offer
from gateway.webrtc.sdp_lines import FRAGMENT_BOUNDS, MAX_LINE_CHARACTERS, OFFER_BOUNDS, bounded_lines
from tests.unit.gateway.webrtc.sdp import body
from voicegate.kernel.errors import RefusedCall

CANDIDATE = b"a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n"
SECTION = b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"

BOMBS = {
    "bytes": b"v=0\r\n" + b"a=x\r\n" * 1_000_000,
    "lines": b"v=0\n" + b"\n" * 60_000,
    "candidates": b"v=0\r\n" + CANDIDATE * 1_200,
    "sections": b"v=0\r\n" + SECTION * 900,
    "few sections": b"v=0\r\n" + SECTION * 9,
    "a long line": b"v=0\r\na=" + b"x" * 60_000,
    "no text": b"v=0\r\n\xff\xfe",
    "NUL": b"v=0\r\na=\0",
}


def test_lines() -> None:
    assert bounded_lines(b"v=0\r\n\r\na=b\nc=d", OFFER_BOUNDS) == ["v=0", "a=b", "c=d"]
    assert bounded_lines("a=\x0b\u2028b".encode(), OFFER_BOUNDS) == ["a=\x0b\u2028b"]


def test_at_the_bounds() -> None:
    assert len(bounded_lines(CANDIDATE * 100, OFFER_BOUNDS)) == 100
    assert len(bounded_lines(SECTION * 8, OFFER_BOUNDS)) == 8
    assert bounded_lines(b"a" * MAX_LINE_CHARACTERS, OFFER_BOUNDS)
    assert len(bounded_lines(b"a\n" * 250, FRAGMENT_BOUNDS)) == 250


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_before_they_are_read(bomb: bytes) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        with pytest.raises(RefusedCall) as refused:
            read_offer(bomb)
        took.append(time.perf_counter() - began)
        assert refused.value.code in ("too_large", "bad_sdp")
    assert min(took) < 0.005


def test_the_dearest_offer_that_is_read_costs_little() -> None:
    """All bounds reached at once."""
    offer = body() + CANDIDATE * 97 + (b"a=" + b"x" * 60 + b"\r\n") * 850
    assert len(offer) < OFFER_BOUNDS.size_bytes
    took = []
    for _ in range(5):
        began = time.perf_counter()
        assert len(read_offer(offer).candidates) == 100
        took.append(time.perf_counter() - began)
    print(f"\nthe dearest offer: {min(took) * 1000:.2f} ms")
    assert min(took) < 0.02
