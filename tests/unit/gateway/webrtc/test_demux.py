"""Datagrams by their first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.demux import Kind, classify

COOKIE = b"\x21\x12\xa4\x42"


@pytest.mark.parametrize(
    ("datagram", "kind"),
    [
        (b"", Kind.NOISE),
        (b"\x80" * 7, Kind.NOISE),
        (b"\x00\x01\x00\x00" + COOKIE + bytes(12), Kind.STUN),
        (b"\x00\x01\x00\x00" + bytes(16), Kind.NOISE),
        (b"\x00\x01\x00\x00" + COOKIE + bytes(11), Kind.NOISE),
        (b"\x00\x01\x00\x00" + COOKIE + bytes(13), Kind.NOISE),
        (bytes([4]) + bytes(30), Kind.NOISE),
        (bytes([19]) + bytes(30), Kind.NOISE),
        (bytes([20]) + bytes(12), Kind.DTLS),
        (bytes([63]) + bytes(12), Kind.DTLS),
        (bytes([63]) + bytes(11), Kind.NOISE),
        (bytes([64]) + bytes(30), Kind.NOISE),
        (b"\x80\x6f" + bytes(10), Kind.RTP),
        (b"\x80\x6f" + bytes(9), Kind.NOISE),
        (b"\xbf\xbf" + bytes(10), Kind.RTP),
        (b"\x80\xc0" + bytes(6), Kind.RTCP),
        (b"\x80\xdf" + bytes(6), Kind.RTCP),
        (b"\x80\xe0" + bytes(10), Kind.RTP),
        (b"\xc0" * 20, Kind.NOISE),
        (b"\x80\x6f" + bytes(1498), Kind.RTP),
        (b"\x80\x6f" + bytes(1499), Kind.NOISE),
    ],
)
def test_kinds(datagram: bytes, kind: Kind) -> None:
    assert classify(datagram) is kind


@given(st.binary(max_size=64))
def test_every_datagram_has_a_kind(datagram: bytes) -> None:
    assert classify(datagram) in Kind
