"""RTCP (RFC 3550 §6): compound packets, parsed and built. PURE.

Known are sender and receiver reports, source descriptions and goodbyes; what else a browser sends (feedback of RFC
4585, extended reports of RFC 3611) is skipped by its length. Anything wrong is :class:`MalformedPacket`.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

from gateway.webrtc.rtp import MalformedPacket

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203

_HEADER: Final = Struct("!BBH")
_WORD: Final = Struct("!I")
_SENDER: Final = Struct("!IIIII")
_BLOCK: Final = Struct("!IIIIII")
_CNAME: Final = 1
_NTP_UNITS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says about one source (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the report before."""
    lost: int
    """Since the beginning; negative where duplicates outnumber losses. 24 bits, signed."""
    highest_sequence: int
    """16 bits of wraps and 16 bits of sequence number."""
    jitter: int
    """In timestamp units."""
    last_report: int
    """Middle 32 bits of the NTP time of the last sender report, 0 if there was none."""
    since_last_report: int
    """In 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    ssrc: int
    ntp: int
    """64 bits: seconds and 1/2**32 of them."""
    timestamp: int
    """The RTP timestamp of that moment."""
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Sources that send no more."""

    ssrcs: tuple[int, ...]


Rtcp: TypeAlias = SenderReport | ReceiverReport | Goodbye


def parse_rtcp(packet: bytes) -> list[Rtcp]:
    """The reports and goodbyes of a compound packet, in order. Reduced-size packets (RFC 5506) are read as well.

    Raises:
        MalformedPacket: a part is longer than the packet, or shorter than what it must hold; another version than 2.
    """
    found: list[Rtcp] = []
    at = 0
    while at < len(packet):
        if len(packet) - at < _HEADER.size:
            raise MalformedPacket("an RTCP packet ends within a header")
        first, kind, words = _HEADER.unpack_from(packet, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > len(packet):
            raise MalformedPacket(f"an RTCP part of version {first >> 6} claims {4 * (words + 1)} bytes")
        part = _read_part(kind, first & 0x1F, packet[at + _HEADER.size : end])
        if part is not None:
            found.append(part)
        at = end
    return found


def build_sender_report(report: SenderReport) -> bytes:
    """One sender report with up to 31 blocks."""
    ntp = report.ntp & (1 << 64) - 1
    clock = report.timestamp & 0xFFFF_FFFF
    sender = _SENDER.pack(report.ssrc, ntp >> 32, ntp & 0xFFFF_FFFF, clock, report.packets & 0xFFFF_FFFF)
    body = sender + _WORD.pack(report.octets & 0xFFFF_FFFF) + _blocks(report.blocks)
    return _part(SENDER_REPORT, len(report.blocks), body)


def build_receiver_report(report: ReceiverReport) -> bytes:
    """One receiver report with up to 31 blocks."""
    return _part(RECEIVER_REPORT, len(report.blocks), _WORD.pack(report.ssrc) + _blocks(report.blocks))


def build_cname(ssrc: int, cname: str) -> bytes:
    """A source description with the one item that must be in it (RFC 3550 §6.5.1), at most 255 bytes of UTF-8."""
    name = cname.encode()[:255]
    body = _WORD.pack(ssrc) + bytes((_CNAME, len(name))) + name
    return _part(SOURCE_DESCRIPTION, 1, body + bytes(4 - len(body) % 4))


def build_goodbye(ssrc: int) -> bytes:
    """The source sends no more (RFC 3550 §6.6)."""
    return _part(GOODBYE, 1, _WORD.pack(ssrc))


def ntp_time(now_s: float) -> int:
    """``now_s`` as 64 bits of NTP. Any clock will do that only goes forward (RFC 3550 §6.4.1): only differences of it
    come back."""
    return int(now_s * _NTP_UNITS)


def ntp_middle(ntp: int) -> int:
    """The middle 32 bits: 16 of seconds, 16 of fraction."""
    return ntp >> 16 & 0xFFFF_FFFF


def _read_part(kind: int, count: int, body: bytes) -> Rtcp | None:
    if kind == SENDER_REPORT:
        return _read_sender(count, body)
    if kind == RECEIVER_REPORT:
        _need(body, _WORD.size)
        return ReceiverReport(_WORD.unpack_from(body)[0], _read_blocks(count, body, _WORD.size))
    if kind == GOODBYE:
        _need(body, 4 * count)
        return Goodbye(tuple(_WORD.unpack_from(body, 4 * place)[0] for place in range(count)))
    return None


def _read_sender(count: int, body: bytes) -> SenderReport:
    size = _SENDER.size + _WORD.size
    _need(body, size)
    ssrc, seconds, fraction, timestamp, packets = _SENDER.unpack_from(body)
    octets = _WORD.unpack_from(body, _SENDER.size)[0]
    return SenderReport(ssrc, seconds << 32 | fraction, timestamp, packets, octets, _read_blocks(count, body, size))


def _read_blocks(count: int, body: bytes, at: int) -> tuple[ReportBlock, ...]:
    _need(body, at + count * _BLOCK.size)
    blocks = []
    for place in range(at, at + count * _BLOCK.size, _BLOCK.size):
        ssrc, losses, highest, jitter, last, since = _BLOCK.unpack_from(body, place)
        lost = losses & 0xFF_FFFF
        signed = lost - (1 << 24) if lost >> 23 else lost
        blocks.append(ReportBlock(ssrc, losses >> 24, signed, highest, jitter, last, since))
    return tuple(blocks)


def _need(body: bytes, size: int) -> None:
    if len(body) < size:
        raise MalformedPacket(f"an RTCP part of {len(body)} bytes must have {size}")


def _blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(map(_block, blocks))


def _block(block: ReportBlock) -> bytes:
    lost = max(-(1 << 23), min(block.lost, (1 << 23) - 1)) & 0xFF_FFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest_sequence,
        block.jitter,
        block.last_report,
        block.since_last_report,
    )


def _part(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
