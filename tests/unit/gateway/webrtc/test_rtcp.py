"""RTCP: reports and goodbyes are read and written; what is unknown is skipped, what is wrong is the one error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_cname,
    build_goodbye,
    build_receiver_report,
    build_sender_report,
    ntp_middle,
    ntp_time,
    parse_rtcp,
)
from gateway.webrtc.rtp import MalformedPacket

WORD = st.integers(0, (1 << 32) - 1)
BLOCK = st.builds(
    ReportBlock, WORD, st.integers(0, 255), st.integers(-(1 << 23), (1 << 23) - 1), WORD, WORD, WORD, WORD
)
BLOCKS = st.lists(BLOCK, max_size=31).map(tuple)
FEEDBACK = bytes.fromhex("81cd0003 00000001 00000002 00010000")
"""Generic NACK (RFC 4585)."""


def test_a_compound_packet_of_a_browser() -> None:
    block = ReportBlock(7, 12, -1, 0x10005, 30, 0xAABBCCDD, 65_536)
    packet = build_sender_report(SenderReport(1, 5 << 32, 960, 3, 200, (block,)))
    packet += build_cname(1, "somebody") + FEEDBACK + build_goodbye(1)
    assert parse_rtcp(packet) == [SenderReport(1, 5 << 32, 960, 3, 200, (block,)), Goodbye((1,))]


def test_a_receiver_report_byte_by_byte() -> None:
    block = ReportBlock(0x01020304, 0x80, -2, 0x00010002, 3, 4, 5)
    built = build_receiver_report(ReceiverReport(9, (block,)))
    assert built == bytes.fromhex("81c90007 00000009 01020304 80fffffe 00010002 00000003 00000004 00000005")


@pytest.mark.parametrize(("name", "words"), [("", 2), ("a", 2), ("ab", 3), ("abcde", 3), ("é" * 200, 66)])
def test_the_name_is_ended_by_a_zero_at_a_word(name: str, words: int) -> None:
    built = build_cname(1, name)
    assert len(built) % 4 == 0
    assert built[-1] == 0
    assert int.from_bytes(built[2:4]) == words == len(built) // 4 - 1
    assert parse_rtcp(built) == []


def test_numbers_too_large_for_their_fields_are_clamped_or_wrap() -> None:
    block = ReportBlock(1, 0, 1 << 30, 0, 0, 0, 0)
    [parsed] = parse_rtcp(build_sender_report(SenderReport(1, 1 << 70, 1 << 33, 1 << 32, 1 << 32, (block,))))
    assert isinstance(parsed, SenderReport)
    assert (parsed.ntp, parsed.timestamp, parsed.packets, parsed.octets) == (0, 0, 0, 0)
    assert parsed.blocks[0].lost == (1 << 23) - 1


def test_time() -> None:
    assert ntp_time(1.5) == 0x1_8000_0000
    assert ntp_middle(ntp_time(70_000.25)) == (70_000 % 65_536) << 16 | 0x4000


@pytest.mark.parametrize(
    "packet",
    [
        "80",
        "80c900",
        "40c90001 00000001",  # version 1
        "80c90002 00000001",  # longer than the packet
        "80c90000",  # a receiver report without its source
        "81c90001 00000001",  # a block that is not there
        "80c80005" + "00000001" * 5,  # a sender report without its octets
        "82cb0001 00000001",  # two goodbyes, one source
        "80c90001 00000001 81",  # rubbish behind a good part
    ],
)
def test_lengths_that_cannot_be_are_refused(packet: str) -> None:
    with pytest.raises(MalformedPacket):
        parse_rtcp(bytes.fromhex(packet))


@given(ssrc=WORD, ntp=st.integers(0, (1 << 64) - 1), timestamp=WORD, packets=WORD, octets=WORD, blocks=BLOCKS)
def test_what_is_built_is_read(
    ssrc: int, ntp: int, timestamp: int, packets: int, octets: int, blocks: tuple[ReportBlock, ...]
) -> None:
    sent, received = SenderReport(ssrc, ntp, timestamp, packets, octets, blocks), ReceiverReport(ssrc, blocks)
    assert parse_rtcp(build_sender_report(sent) + build_receiver_report(received)) == [sent, received]


@given(
    st.binary(max_size=200)
    | st.tuples(st.integers(0, 31), st.integers(198, 207), st.binary(max_size=120)).map(
        lambda made: bytes([0x80 | made[0], made[1]]) + (len(made[2]) // 4).to_bytes(2) + made[2]
    )
)
def test_any_bytes_are_reports_or_the_one_error(packet: bytes) -> None:
    try:
        parts = parse_rtcp(packet)
    except MalformedPacket:
        return
    assert len(parts) <= len(packet) // 4
