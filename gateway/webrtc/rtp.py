"""RTP packets (RFC 3550 §5.1): parse and build. PURE.

::

     0                   1                   2                   3
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    |                           timestamp                           |
    |           synchronization source (SSRC) identifier            |
    |     contributing sources (CSRC), 4 bytes each, CC of them     |
    |      header extension, if X: profile, length in words, …      |
    |      payload … padding, if P: its last byte is its length     |

Whatever is parsed has been authenticated by SRTP, but not been made by a friend: every length is checked against the
packet before it is believed, and anything wrong is :class:`MalformedPacket`, never another error.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from voicegate.kernel.errors import VoicegateError

HEADER_BYTES: Final = 12
MAX_CSRCS: Final = 15

_FIXED: Final = Struct("!BBHII")
_EXTENSION: Final = Struct("!HH")
_VERSION_2: Final = 0x80
_PADDING: Final = 0x20
_HAS_EXTENSION: Final = 0x10
_MARKER: Final = 0x80
_ONE_BYTE_PROFILE: Final = 0xBEDE
_TWO_BYTE_PROFILE: Final = 0x1000


class MalformedPacket(VoicegateError, ValueError):
    """Bytes that are not the RTP or RTCP packet they claim to be. Costs that packet and nothing else."""

    code = "packet_malformed"


class RtpPacket(NamedTuple):
    """One packet, without its padding."""

    payload_type: int
    """0 to 127."""
    marker: bool
    """For audio: the first packet after silence (RFC 3551 §4.1, RFC 7587 §4.1)."""
    sequence: int
    """16 bits, one more with each packet."""
    timestamp: int
    """32 bits, in the clock of the payload type: 48 kHz for Opus at any rate (RFC 7587 §4.1)."""
    ssrc: int
    payload: bytes
    """May be empty: padding alone is sent to probe a path."""
    csrcs: tuple[int, ...] = ()
    extension_profile: int = 0
    extension: bytes = b""
    """See :func:`extension_elements`."""


def parse_rtp(packet: bytes) -> RtpPacket:
    """Read one packet.

    Raises:
        MalformedPacket: too short for what its header claims, another version than 2, or impossible padding.
    """
    size = len(packet)
    if size < HEADER_BYTES:
        raise MalformedPacket(f"an RTP packet of {size} bytes is shorter than its header")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    if first & 0xC0 != _VERSION_2:
        raise MalformedPacket(f"RTP version {first >> 6}")
    payload_type, marker = second & 0x7F, second >= _MARKER
    if first == _VERSION_2:  # nothing optional, as most packets are
        return RtpPacket(payload_type, marker, sequence, timestamp, ssrc, packet[HEADER_BYTES:])
    at = HEADER_BYTES + 4 * (first & 0x0F)
    if at > size:
        raise MalformedPacket("an RTP packet ends within its contributing sources")
    csrcs = tuple(int.from_bytes(packet[place : place + 4]) for place in range(HEADER_BYTES, at, 4))
    profile, extension = 0, b""
    if first & _HAS_EXTENSION:
        profile, extension, at = _read_extension(packet, at)
    end = size - _padding_bytes(packet, at) if first & _PADDING else size
    return RtpPacket(payload_type, marker, sequence, timestamp, ssrc, packet[at:end], csrcs, profile, extension)


def build_rtp(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False
) -> bytes:
    """A packet without padding, sources and extensions. Sequence number and timestamp wrap round by themselves."""
    second = payload_type | _MARKER if marker else payload_type
    return _FIXED.pack(_VERSION_2, second, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc) + payload


def extension_elements(profile: int, extension: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a header extension as id and value, one-byte and two-byte form (RFC 8285 §4.2, §4.3); none for
    any other profile.

    Raises:
        MalformedPacket: an element is longer than what is left.
    """
    if profile != _ONE_BYTE_PROFILE and profile & 0xFFF0 != _TWO_BYTE_PROFILE:
        return
    one_byte, at = profile == _ONE_BYTE_PROFILE, 0
    while at < len(extension):
        if extension[at] == 0:  # padding between elements
            at += 1
            continue
        if one_byte:
            element, size, at = extension[at] >> 4, (extension[at] & 0x0F) + 1, at + 1
            if element == 15:  # reserved: what follows is not to be read
                return
        else:
            element, size, at = extension[at], (extension[at + 1 : at + 2] or b"\xff")[0], at + 2
        if at + size > len(extension):
            raise MalformedPacket(f"header extension {element} is longer than the extension")
        yield element, extension[at : at + size]
        at += size


def _read_extension(packet: bytes, at: int) -> tuple[int, bytes, int]:
    """Profile and content of the extension at ``at``, and where the payload begins."""
    if at + 4 > len(packet):
        raise MalformedPacket("an RTP packet ends within its header extension")
    profile, words = _EXTENSION.unpack_from(packet, at)
    end = at + 4 + 4 * words
    if end > len(packet):
        raise MalformedPacket("an RTP packet ends within its header extension")
    return profile, packet[at + 4 : end], end


def _padding_bytes(packet: bytes, at: int) -> int:
    """Length of the padding of a packet whose payload begins at ``at``."""
    count = packet[-1]
    if not 0 < count <= len(packet) - at:
        raise MalformedPacket(f"{count} bytes of padding in a payload of {len(packet) - at}")
    return count
