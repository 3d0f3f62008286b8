"""The protocol of RFC 6455, byte by byte."""

import os
import struct

import pytest
from aiohttp._websocket.helpers import websocket_mask
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.websocket.rfc6455 import (
    NO_CODE,
    Closing,
    Incoming,
    MessageReader,
    Ping,
    Pong,
    Violation,
    binary_frame,
    close_frame,
    frame_head,
    ping_frame,
    pong_frame,
    shake_hands,
    text_frame,
    unmask,
)

MOST = 100_000


def framed(payload: bytes, kind: int, *, fin: bool = True, mask: bytes = b"\x01\x80\xff\x07", extra: int = 0) -> bytes:
    """A client's frame."""
    size = len(payload)
    first = (0x80 if fin else 0) | kind | extra
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65_536:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    masked = bytearray(payload)
    websocket_mask(mask, masked)
    return head + mask + bytes(masked)


def read(*pieces: bytes, most: int = MOST) -> list[Incoming]:
    reader = MessageReader(most)
    return [each for piece in pieces for each in reader.feed(piece)]


def violation(*pieces: bytes, most: int = MOST) -> int:
    """The code of the violation that must come, and come last."""
    *_, last = read(*pieces, most=most)
    assert isinstance(last, Violation), last
    return last.code


messages = st.lists(
    st.one_of(
        st.binary(max_size=300).map(lambda data: (data, 2)),
        st.binary(min_size=65_536, max_size=65_600).map(lambda data: (data, 2)),
        st.text(max_size=200).map(lambda text: (text, 1)),
        st.binary(max_size=125).map(lambda data: (Ping(data), 9)),
        st.binary(max_size=125).map(lambda data: (Pong(data), 10)),
    ),
    max_size=6,
)


def payload_of(message: Incoming) -> bytes:
    match message:
        case str():
            return message.encode()
        case bytes():
            return message
        case Ping(data=data) | Pong(data=data):
            return data
        case _:
            raise AssertionError


@settings(deadline=None)
@given(messages, st.data())
def test_messages_survive_every_cut_and_every_fragmentation(
    sent: list[tuple[Incoming, int]], data: st.DataObject
) -> None:
    wire = b""
    for message, kind in sent:
        payload = payload_of(message)
        mask = data.draw(st.binary(min_size=4, max_size=4))
        if kind < 8 and data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(payload)))
            wire += framed(payload[:at], kind, fin=False, mask=mask) + framed(b"between", 9)
            wire += framed(payload[at:], 0, mask=mask)
        else:
            wire += framed(payload, kind, mask=mask)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    got = [each for each in read(*pieces) if each != Ping(b"between")]
    assert got == [message for message, _ in sent]


def test_byte_by_byte() -> None:
    wire = framed(b"x" * 160, 2) + framed("grüße".encode(), 1) + framed(b"", 2)
    assert read(*(bytes([byte]) for byte in wire)) == [b"x" * 160, "grüße", b""]


def test_a_long_message_in_many_reads_is_joined_once() -> None:
    payload = os.urandom(MOST)
    wire = framed(payload, 2)
    assert read(*(wire[at : at + 1000] for at in range(0, len(wire), 1000))) == [payload]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 160, 65_535, 65_536])
def test_both_ways_to_unmask_agree(size: int) -> None:
    payload, mask = os.urandom(size), os.urandom(4)
    ours, theirs = bytearray(payload), bytearray(payload)
    unmask(mask, ours)
    websocket_mask(mask, theirs)
    assert ours == theirs == bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (framed(b"x", 2, extra=0x40), 1002),
        (framed(b"x", 1, extra=0x10), 1002),
        (framed(b"x", 3), 1002),
        (framed(b"x", 11), 1002),
        (binary_frame(b"not masked"), 1002),
        (text_frame(b"not masked"), 1002),
        (framed(b"x" * 126, 9), 1002),
        (framed(b"x", 9, fin=False), 1002),
        (framed(b"x", 0), 1002),
        (framed(b"x", 2, fin=False) + framed(b"y", 2), 1002),
        (framed(b"x", 2, fin=False) + framed(b"y", 1), 1002),
        (framed(b"\xff", 1), 1007),
        (framed(b"\xc3", 1, fin=False) + framed(b"x", 0), 1007),
        (framed(b"x", 8), 1002),
        (framed(struct.pack(">H", 1005), 8), 1002),
        (framed(struct.pack(">H", 1006), 8), 1002),
        (framed(struct.pack(">H", 999), 8), 1002),
        (framed(struct.pack(">H", 2999), 8), 1002),
        (framed(struct.pack(">H", 5000), 8), 1002),
        (framed(struct.pack(">H", 1000) + b"\xff", 8), 1007),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_ends_it(wire: bytes, code: int) -> None:
    after = framed(b"later", 2)
    assert violation(framed(b"before", 2) + wire + after, after) == code
    assert read(framed(b"before", 2) + wire)[0] == b"before"


def test_one_packet_a_read_is_taken_as_it_is_whether_text_or_bytes() -> None:
    text = "grüße" * 40
    assert read(framed(text.encode(), 1)) == [text]
    assert read(framed(b"x" * 200, 2)) == [b"x" * 200]
    assert violation(framed(b"\xff" * 200, 1), framed(b"later", 2)) == 1007


def test_a_message_over_the_limit_is_refused_before_it_is_here() -> None:
    whole = framed(b"x" * 1001, 2)
    assert violation(whole[:8], most=1000) == 1009
    assert violation(whole, most=1000) == 1009
    assert read(framed(b"x" * 1000, 2), most=1000) == [b"x" * 1000]
    huge = bytes([0x82, 0xFF]) + (1 << 63).to_bytes(8) + b"mask"
    assert violation(huge) == 1009


def test_fragments_count_together() -> None:
    parts = framed(b"x" * 600, 2, fin=False) + framed(b"x" * 401, 0)
    assert violation(parts, most=1000) == 1009
    fitting = framed(b"x" * 600, 2, fin=False) + framed(b"x" * 400, 0)
    assert read(fitting + framed(b"y" * 1000, 2), most=1000) == [b"x" * 1000, b"y" * 1000]


def test_empty_fragments_take_no_memory() -> None:
    reader = MessageReader(MOST)
    reader.feed(framed(b"", 2, fin=False))
    for _ in range(1000):
        assert reader.feed(framed(b"", 0, fin=False)) == []
    assert reader._message == []
    assert reader.feed(framed(b"end", 0)) == [b"end"]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_a_close_is_the_last_word(code: int) -> None:
    wire = framed(struct.pack(">H", code) + "bye é".encode(), 8) + framed(b"after", 2)
    assert read(wire, framed(b"after", 2)) == [Closing(code, "bye é")]
    assert read(framed(b"", 8)) == [Closing(NO_CODE)]


def test_frames_of_a_server() -> None:
    assert text_frame(b"hi") == b"\x81\x02hi"
    assert binary_frame(b"x" * 125)[:2] == b"\x82\x7d"
    assert binary_frame(b"x" * 126)[:4] == b"\x82\x7e\x00\x7e"
    assert frame_head(2, 65_536) == b"\x82\x7f" + (65_536).to_bytes(8)
    assert ping_frame() == b"\x89\x00"
    assert pong_frame(b"ab") == b"\x8a\x02ab"
    assert close_frame(4429, b"slow") == b"\x88\x06\x11\x4dslow"
    assert close_frame(NO_CODE, b"ignored") == b"\x88\x00"


HEADERS = {
    "Upgrade": "WebSocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_the_handshake_of_the_rfc() -> None:
    answer = shake_hands(CIMultiDict(HEADERS), ("voice.v1",))
    assert answer is not None
    assert answer.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.subprotocol == ""


def test_the_first_known_subprotocol_of_the_client_is_taken() -> None:
    headers = CIMultiDict(HEADERS | {"Sec-WebSocket-Protocol": "chat, b ,a"})
    answer = shake_hands(headers, ("a", "b"))
    assert answer is not None
    assert answer.subprotocol == "b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "h2c"),
        ("Connection", "keep-alive"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"),
        ("Sec-WebSocket-Key", "c2hvcnQ="),
        ("Sec-WebSocket-Key", "ä" * 24),
        ("Sec-WebSocket-Key", ""),
    ],
)
def test_what_is_no_handshake(name: str, value: str) -> None:
    assert shake_hands(CIMultiDict(HEADERS | {name: value}), ()) is None
    missing = CIMultiDict(HEADERS)
    del missing[name]
    assert shake_hands(missing, ()) is None


PACKET = bytes(range(160))
JSON = b'{"event":"media","payload":"' + b"A" * 200 + b'"}'


@pytest.mark.parametrize(("kind", "payload", "message"), [(2, PACKET, PACKET), (1, JSON, JSON.decode())])
def test_a_read_that_is_one_packet_is_one_message(kind: int, payload: bytes, message: str | bytes) -> None:
    data, reader = framed(payload, kind), MessageReader(1_000)
    assert reader.lone(data) == message
    assert reader.feed(data) == [message], "either way"


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (b"", 1_000),
        (framed(PACKET, 2)[:7], 1_000),
        (framed(PACKET, 2)[:-1], 1_000),
        (framed(PACKET, 2) + b"\x82", 1_000),
        (framed(PACKET, 2), 159),
        (framed(PACKET, 2, fin=False), 1_000),
        (framed(b"short", 2), 1_000),
        (framed(b"\xff" * 200, 1), 1_000),
        (framed(PACKET, 9), 1_000),
    ],
)
def test_what_is_not_one_packet_is_left_as_it_is(data: bytes, most: int) -> None:
    reader, other = MessageReader(most), MessageReader(most)
    assert reader.lone(data) is None
    assert reader.feed(data) == other.feed(data), "nothing was taken"


def test_in_the_middle_of_something_nothing_is_alone() -> None:
    whole = framed(PACKET, 2)
    begun, fragmented, over = MessageReader(1_000), MessageReader(1_000), MessageReader(1_000)
    begun.feed(whole[:50])
    fragmented.feed(framed(b"one", 2, fin=False))
    over.feed(close_frame_of_a_client())
    assert [each.lone(whole) for each in (begun, fragmented, over)] == [None] * 3


def close_frame_of_a_client() -> bytes:
    return framed((1000).to_bytes(2), 8)
