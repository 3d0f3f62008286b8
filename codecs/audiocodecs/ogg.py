"""One growing Ogg stream (RFC 3533) to Opus packets (RFC 7845), page by page with the checksum verified."""

import zlib
from dataclasses import dataclass
from typing import Final

from audiocodecs.opus import OpusHead, parse_opus_head
from voicegate.kernel.errors import AudioError

MAX_PACKET_BYTES: Final = 61_440
"""Longest audio packet that a decoder must take (RFC 7845 §6)."""

_HEADER_BYTES: Final = 27
_CONTINUED, _BEGINS, _ENDS = 1, 2, 4
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NO_SUM: Final = bytes(4)


@dataclass(frozen=True, slots=True)
class _Page:
    flags: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes
    size: int
    """Bytes of the whole page."""


class OggDemuxer:
    """Bytes of one growing stream to its Opus packets.

    :meth:`push` returns an :class:`OpusHead` where a logical stream begins (chained streams begin anew), then its
    packets as bytes; the comment header is dropped, however long. Of multiplexed streams only the first Opus one is
    read. After an :class:`AudioError` the object is of no further use.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._serial: int | None = None
        self._sequence = 0
        self._in_tags = False
        self._partial: bytes | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the last page of the stream has come."""
        return self._ended

    def push(self, data: bytes) -> list[OpusHead | bytes]:
        """Items completed by ``data``, in order.

        Raises:
            AudioError: not Ogg, a wrong checksum, no Opus in it, a packet above its bound.
        """
        self._buffer += data
        items: list[OpusHead | bytes] = []
        at = 0
        while (page := _page(self._buffer, at)) is not None:
            at += page.size
            items += self._take(page)
        del self._buffer[:at]
        return items

    def _take(self, page: _Page) -> list[OpusHead | bytes]:
        if page.flags & _BEGINS:
            return self._begin(page)
        if self._serial is None and not self._ended:
            raise AudioError("an Ogg stream has no Opus in it")
        if page.serial != self._serial:
            return []
        packets = self._packets(page)
        if page.flags & _ENDS:
            self._serial, self._ended = None, True
        return packets

    def _begin(self, page: _Page) -> list[OpusHead | bytes]:
        # Streams side by side all begin before any of them goes on (RFC 3533 §4): a later beginning follows ours.
        beside = self._serial is not None and self._in_tags
        if beside or not page.body.startswith(b"OpusHead"):
            return []
        self._serial, self._sequence = page.serial, page.sequence
        self._in_tags, self._partial, self._ended = True, None, False
        return [parse_opus_head(page.body)]

    def _packets(self, page: _Page) -> list[OpusHead | bytes]:
        """Packets that end in this page. What a lost page tore apart is dropped (RFC 3533 §6)."""
        torn = page.sequence != (self._sequence + 1) & 0xFFFFFFFF
        self._sequence = page.sequence
        continued = bool(page.flags & _CONTINUED)
        current = None if torn or not continued else self._partial
        dropping = continued and current is None
        packets: list[OpusHead | bytes] = []
        current, at, open_ended = current or b"", 0, False
        for lace in page.lacing:
            current += page.body[at : at + lace]
            at += lace
            open_ended = lace == 255
            if self._in_tags:
                current = current[:8]
            if len(current) > MAX_PACKET_BYTES:
                raise AudioError(f"an Ogg packet is longer than {MAX_PACKET_BYTES} bytes")
            if not open_ended:
                packets += self._complete(current) if not dropping else []
                current, dropping = b"", False
        self._partial = current if open_ended and not dropping else None
        return packets

    def _complete(self, packet: bytes) -> list[OpusHead | bytes]:
        if not self._in_tags:
            return [packet]
        if packet != b"OpusTags":
            raise AudioError("an Ogg Opus stream lacks its comment header")
        self._in_tags = False
        return []


def _page(data: bytearray, at: int) -> _Page | None:
    """The page at ``at`` (RFC 3533 §6), or None where it is cut."""
    magic = data[at : at + 4]
    if magic != b"OggS"[: len(magic)]:
        raise AudioError("an Ogg page must begin with OggS")
    if len(data) - at < _HEADER_BYTES:
        return None
    if data[at + 4]:
        raise AudioError(f"Ogg version {data[at + 4]} is not supported")
    body = at + _HEADER_BYTES + data[at + 26]
    lacing = bytes(data[at + _HEADER_BYTES : body])
    end = body + sum(lacing)
    if len(lacing) < data[at + 26] or len(data) < end:
        return None
    page = bytes(data[at:end])
    if _checksum(page[:22] + _NO_SUM + page[26:]) != int.from_bytes(page[22:26], "little"):
        raise AudioError("an Ogg page has a wrong checksum")
    serial, sequence = int.from_bytes(page[14:18], "little"), int.from_bytes(page[18:22], "little")
    return _Page(page[5], serial, sequence, lacing, page[body - at :], end - at)


def _checksum(data: bytes) -> int:
    """CRC of Ogg: polynomial 04C11DB7, most significant bit first, start 0.

    zlib has the same polynomial with all bits mirrored and start and end inverted; mirroring and inverting back is
    some hundred times faster than a loop in Python.
    """
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
