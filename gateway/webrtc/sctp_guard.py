"""What may reach aiortc's SCTP (RFC 9260): packets whose cost is bounded before anything acts on them. Pure.

Its reader believes the numbers it finds: one acknowledgement may name nineteen million packets, each of which it
visits; data may open 65 536 streams, or lie so far ahead that it is kept for ever. An event channel needs none of
this. A packet that is refused here is as good as lost.
"""

from struct import Struct
from typing import Final

from google_crc32c import value as crc32c

MAX_CHUNKS: Final = 32
MAX_STREAM_ID: Final = 63
"""Far above what a page with one channel uses (0 and 1), and still a small table."""
MAX_AHEAD: Final = 512
"""Furthest packet number after the first missing one."""
MAX_GAP_BLOCKS: Final = 64
MAX_GAP_SPAN: Final = 4_096

_COMMON_BYTES: Final = 12
_HEADER: Final = Struct("!BBH")
_DATA: Final = Struct("!IH")
_SACK: Final = Struct("!IIHH")
_PAIR: Final = Struct("!HH")
_WORD: Final = Struct("!I")
_DATA_CHUNK, _INIT, _INIT_ACK, _SACK_CHUNK, _RECONFIG, _FORWARD_TSN = 0, 1, 2, 3, 130, 192
_HALF: Final = 1 << 31


class SctpGuard:
    """Watches one association. It follows the peer's packet numbers from its INIT on."""

    def __init__(self) -> None:
        self._next: int | None = None
        """The first packet number that was not seen yet."""
        self._ahead: set[int] = set()

    def allows(self, packet: bytes) -> bool:
        """Whether the packet may be handled. Total: never raises."""
        if len(packet) < _COMMON_BYTES + _HEADER.size or not _checksum_fits(packet):
            return False
        chunks = _chunks(packet)
        if chunks is None:
            return False
        return all(self._allowed(kind, body) for kind, body in chunks)

    def _allowed(self, kind: int, body: bytes) -> bool:
        if kind == _DATA_CHUNK:
            return len(body) > 12 and self._data(*_DATA.unpack_from(body))
        if kind in (_INIT, _INIT_ACK):
            return len(body) >= 16 and self._begin(_WORD.unpack_from(body, 12)[0])
        if kind == _SACK_CHUNK:
            return _sack_fits(body)
        if kind == _FORWARD_TSN:
            return self._forward(body)
        if kind == _RECONFIG:
            return len(body) <= 4 + 16 + 2 * (MAX_STREAM_ID + 1)
        return True

    def _begin(self, first: int) -> bool:
        if self._next is None or not self._ahead:
            self._next = first
        return True

    def _data(self, number: int, stream: int) -> bool:
        if self._next is None or stream > MAX_STREAM_ID:
            return False
        ahead = (number - self._next) & 0xFFFF_FFFF
        if ahead >= _HALF:
            return True  # seen before: it is acknowledged again, and that is all
        if ahead > MAX_AHEAD:
            return False
        self._ahead.add(number)
        while self._next in self._ahead:
            self._ahead.discard(self._next)
            self._next = (self._next + 1) & 0xFFFF_FFFF
        return True

    def _forward(self, body: bytes) -> bool:
        """RFC 3758: the peer gave up on packets."""
        if self._next is None or len(body) < 4 or len(body) % 4 or len(body) > 4 + 4 * (MAX_STREAM_ID + 1):
            return False
        if any(_PAIR.unpack_from(body, at)[0] > MAX_STREAM_ID for at in range(4, len(body), 4)):
            return False
        ahead = (_WORD.unpack_from(body)[0] + 1 - self._next) & 0xFFFF_FFFF
        if ahead >= _HALF:
            return True
        if ahead > MAX_AHEAD:
            return False
        self._next = (self._next + ahead) & 0xFFFF_FFFF
        self._ahead = {each for each in self._ahead if (each - self._next) & 0xFFFF_FFFF < _HALF}
        return True


def _checksum_fits(packet: bytes) -> bool:
    given = int.from_bytes(packet[8:12], "little")
    return bool(crc32c(packet[:8] + b"\0\0\0\0" + packet[12:]) == given)


def _chunks(packet: bytes) -> list[tuple[int, bytes]] | None:
    """Type and body of each chunk; None where a length is wrong or there are too many."""
    found: list[tuple[int, bytes]] = []
    at = _COMMON_BYTES
    while at + _HEADER.size <= len(packet):
        kind, _, size = _HEADER.unpack_from(packet, at)
        if size < _HEADER.size or at + size > len(packet) or len(found) >= MAX_CHUNKS:
            return None
        found.append((kind, packet[at + _HEADER.size : at + size]))
        at += size + -size % 4
    return found


def _sack_fits(body: bytes) -> bool:
    if len(body) < _SACK.size:
        return False
    _, _, gaps, duplicates = _SACK.unpack_from(body)
    if gaps > MAX_GAP_BLOCKS or _SACK.size + 4 * (gaps + duplicates) > len(body):
        return False
    before = 0
    for place in range(gaps):
        start, end = _PAIR.unpack_from(body, _SACK.size + 4 * place)
        if not before < start <= end <= MAX_GAP_SPAN:
            return False
        before = end
    return True
