"""RTP: every field has its place, and no bytes lead to anything but a packet or the one error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.rtp import MalformedPacket, RtpPacket, build_rtp, extension_elements, parse_rtp

FIXED = bytes.fromhex("80 ef 1234 89abcdef 00112233")
"""Version 2, marker, type 111."""


def with_first(byte: int, rest: bytes = b"") -> bytes:
    return bytes([byte]) + FIXED[1:] + rest


def test_a_packet_of_a_browser() -> None:
    assert parse_rtp(FIXED + b"opus") == RtpPacket(111, True, 0x1234, 0x89ABCDEF, 0x00112233, b"opus")


def test_a_packet_with_everything() -> None:
    packet = with_first(
        0xB2,
        bytes.fromhex("00000001 ffffffff")  # two contributing sources
        + bytes.fromhex("bede 0002 10 85 32 aabbcc 0000")  # audio level, three bytes under 3, padding
        + b"payload"
        + bytes.fromhex("0000 03"),
    )
    parsed = parse_rtp(packet)
    assert parsed.csrcs == (1, 0xFFFFFFFF)
    assert parsed.payload == b"payload"
    assert list(extension_elements(parsed.extension_profile, parsed.extension)) == [(1, b"\x85"), (3, b"\xaa\xbb\xcc")]


def test_padding_alone_is_an_empty_payload() -> None:
    assert parse_rtp(with_first(0xA0, b"\0\0\0\x04")).payload == b""


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "0 bytes"),
        (FIXED[:11], "11 bytes"),
        (with_first(0x00), "version 0"),
        (with_first(0x40), "version 1"),
        (with_first(0xC0), "version 3"),
        (with_first(0x81, bytes(3)), "contributing"),
        (with_first(0x8F, bytes(59)), "contributing"),
        (with_first(0x90, bytes(3)), "extension"),
        (with_first(0x90, b"\xbe\xde\x00\x01" + bytes(3)), "extension"),
        (with_first(0x90, b"\xbe\xde\xff\xff" + bytes(100)), "extension"),
        (with_first(0xA0, b"\0\0\0\0"), "0 bytes of padding"),
        (with_first(0xA0, b"\0\0\0\x05"), "5 bytes of padding"),
        (with_first(0xA0), "padding"),  # its last byte is one of the header
        (with_first(0xB0, b"\xbe\xde\x00\x00"), "padding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_lengths_are_refused(packet: bytes, why: str) -> None:
    with pytest.raises(MalformedPacket, match=why):
        parse_rtp(packet)


@pytest.mark.parametrize(
    ("profile", "extension", "elements"),
    [
        (0xBEDE, "", []),
        (0xBEDE, "00000000", []),
        (0xBEDE, "1f" + "ab" * 16, [(1, b"\xab" * 16)]),
        (0xBEDE, "10aa f0bb 10cc", [(1, b"\xaa")]),  # 15 ends the reading
        (0x1000, "0100 00 0203aabbcc", [(1, b""), (2, b"\xaa\xbb\xcc")]),
        (0x100F, "0701ff", [(7, b"\xff")]),
        (0x1234, "10aabbcc", []),  # another profile than those of RFC 8285
    ],
)
def test_elements_of_an_extension(profile: int, extension: str, elements: list[tuple[int, bytes]]) -> None:
    assert list(extension_elements(profile, bytes.fromhex(extension))) == elements


@pytest.mark.parametrize(("profile", "extension"), [(0xBEDE, "13aabb"), (0x1000, "01"), (0x1000, "0102aa")])
def test_an_element_that_is_cut_is_refused(profile: int, extension: str) -> None:
    with pytest.raises(MalformedPacket):
        list(extension_elements(profile, bytes.fromhex(extension)))


@given(
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 1 << 20),
    timestamp=st.integers(0, 1 << 40),
    ssrc=st.integers(0, (1 << 32) - 1),
    payload=st.binary(max_size=50),
    marker=st.booleans(),
)
def test_what_is_built_is_read(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> None:
    packet = build_rtp(payload_type, sequence, timestamp, ssrc, payload, marker=marker)
    assert parse_rtp(packet) == RtpPacket(payload_type, marker, sequence % 2**16, timestamp % 2**32, ssrc, payload)


@given(
    st.binary(max_size=100)
    | st.binary(max_size=100).map(lambda rest: bytes([0x80 | rest[0] & 0x3F if rest else 0x80]) + rest)
)
def test_any_bytes_are_a_packet_or_the_one_error(packet: bytes) -> None:
    try:
        parsed = parse_rtp(packet)
        elements = list(extension_elements(parsed.extension_profile, parsed.extension))
    except MalformedPacket:
        return
    assert len(parsed.payload) + len(parsed.extension) + 12 <= len(packet)
    assert sum(len(value) for _, value in elements) <= len(parsed.extension)
