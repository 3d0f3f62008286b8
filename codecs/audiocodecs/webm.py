"""One growing WebM stream, as a browser's MediaRecorder makes it, to Opus packets (RFC 8794 EBML, RFC 9559 Matroska).

The walk is flat: an element that only holds others (Segment, Cluster, BlockGroup) is entered by forgetting its header.
So unknown sizes need no care, there is no stack to grow, and a cut may fall anywhere. Everything else is either one
of four wanted elements, waited for up to 64 KiB, or skipped without being kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from audiocodecs.opus import OpusHead, parse_opus_head
from voicegate.kernel.errors import AudioError

MAX_ELEMENT_BYTES: Final = 1 << 16
"""Largest element that is waited for. The longest Opus packet has 61,298 bytes."""

MAX_SKIPPED_BYTES: Final = 1 << 26
"""Largest element that is skipped: a longer one is rubbish read as a size, not a recording of speech."""

MAX_STEPS: Final = 200_000
"""Most elements in one push, about 0.4 s of work. Two minutes of the shortest packets are 48,000 blocks; megabytes of
empty elements are an attack on the time of everybody else."""

_EBML, _SEGMENT, _CLUSTER, _BLOCK_GROUP = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xA0
_TRACKS, _SIMPLE_BLOCK, _BLOCK = 0x1654AE6B, 0xA3, 0xA1
_DOC_TYPE, _TRACK_ENTRY, _TRACK_NUMBER, _CODEC_ID = 0x4282, 0xAE, 0xD7, 0x86
_CODEC_PRIVATE, _CONTENT_ENCODINGS = 0x63A2, 0x6D80

_CONTAINERS: Final = frozenset({_SEGMENT, _CLUSTER, _BLOCK_GROUP})
_HEADERS: Final = frozenset({_EBML, _TRACKS})
_BLOCKS: Final = frozenset({_SIMPLE_BLOCK, _BLOCK})


@dataclass(frozen=True, slots=True)
class _Element:
    id: int
    size: int | None
    """Bytes of the body; None where unknown."""
    body: int
    """Where the body begins."""


class WebmDemuxer:
    """Bytes of one growing stream to its Opus packets.

    :meth:`push` returns the items found: an :class:`OpusHead` where a stream begins (also when the recorder was
    restarted, which shows as a new EBML header), then its packets as bytes. Only the first Opus track is read. After
    an :class:`AudioError` the object is of no further use.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip_bytes = 0
        self._begun = False
        self._track: int | None = None
        self._position = 0
        self._end: int | None = None

    @property
    def ended(self) -> bool:
        """Whether a Segment of known size is complete; a live recording has none."""
        return self._end is not None and self._position >= self._end

    def push(self, data: bytes) -> list[OpusHead | bytes]:
        """Items completed by ``data``, in order.

        Raises:
            AudioError: not WebM, no Opus track, laced or encoded blocks, an element above its bound.
        """
        self._buffer += data
        items: list[OpusHead | bytes] = []
        at = steps = 0
        while (step := self._step(at, items)) is not None:
            at += step
            steps += 1
            if steps > MAX_STEPS:
                raise AudioError(f"a WebM message has more than {MAX_STEPS} elements")
        del self._buffer[:at]
        self._position += at
        return items

    def _step(self, at: int, items: list[OpusHead | bytes]) -> int | None:
        """Bytes consumed at ``at``, or None where more are needed."""
        if self._skip_bytes:
            taken = min(self._skip_bytes, len(self._buffer) - at)
            self._skip_bytes -= taken
            return taken or None
        element = _element(self._buffer, at)
        if element is None:
            return None
        if not self._begun and element.id != _EBML:
            raise AudioError("a WebM stream must begin with an EBML header")
        if element.id in _CONTAINERS:
            if element.id == _SEGMENT and element.size is not None:
                self._end = self._position + element.body + element.size
            return element.body - at
        return self._leaf(element, at, items)

    def _leaf(self, element: _Element, at: int, items: list[OpusHead | bytes]) -> int | None:
        if element.size is None:
            raise AudioError(f"WebM element {element.id:X} may not have an unknown size")
        header = element.id in _HEADERS
        if element.size > MAX_ELEMENT_BYTES or not (header or element.id in _BLOCKS):
            if header or element.size > MAX_SKIPPED_BYTES:
                raise AudioError(f"WebM element {element.id:X} claims {element.size} bytes")
            self._skip_bytes = element.size
            return element.body - at
        if len(self._buffer) < element.body + element.size:
            return None
        items += self._body(element.id, bytes(self._buffer[element.body : element.body + element.size]))
        return element.body + element.size - at

    def _body(self, element_id: int, body: bytes) -> list[OpusHead | bytes]:
        if element_id == _EBML:
            _check_doc_type(body)
            self._begun, self._track, self._end = True, None, None
            return []
        if element_id == _TRACKS:
            self._track, head = _opus_track(body)
            return [head]
        if self._track is None:
            raise AudioError("a WebM block comes before its track")
        packet = _block(body, self._track)
        return [] if packet is None else [packet]


def _vint(data: bytes | bytearray, at: int, longest: int) -> tuple[int, int] | None:
    """A variable-size integer (RFC 8794 §4) with its marker bit, and its length; None where it is cut."""
    if at >= len(data):
        return None
    length = 9 - data[at].bit_length()
    if length > longest:
        raise AudioError("not an EBML element")
    if at + length > len(data):
        return None
    return int.from_bytes(data[at : at + length], "big"), length


def _element(data: bytes | bytearray, at: int) -> _Element | None:
    """The element header at ``at``, or None where it is cut."""
    found_id = _vint(data, at, 4)
    if found_id is None:
        return None
    found_size = _vint(data, at + found_id[1], 8)
    if found_size is None:
        return None
    raw, length = found_size
    mask = (1 << 7 * length) - 1
    size = raw & mask
    return _Element(found_id[0], None if size == mask else size, at + found_id[1] + length)


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        element = _element(data, at)
        if element is None or element.size is None or element.body + element.size > len(data):
            raise AudioError("a WebM element is longer than its parent")
        at = element.body + element.size
        yield element.id, data[element.body : at]


def _check_doc_type(header: bytes) -> None:
    doc_type = dict(_children(header)).get(_DOC_TYPE, b"matroska").rstrip(b"\0")
    if doc_type not in (b"webm", b"matroska"):
        raise AudioError(f"EBML document of type {doc_type[:16]!r} is not WebM")


def _opus_track(tracks: bytes) -> tuple[int, OpusHead]:
    """Number and head of the first Opus track."""
    for element_id, entry in _children(tracks):
        if element_id != _TRACK_ENTRY:
            continue
        fields = dict(_children(entry))
        if fields.get(_CODEC_ID, b"").rstrip(b"\0") != b"A_OPUS":
            continue
        if _CONTENT_ENCODINGS in fields:
            raise AudioError("a WebM track with compressed or encrypted content is not supported")
        number = int.from_bytes(fields.get(_TRACK_NUMBER, b""), "big")
        return number, parse_opus_head(fields.get(_CODEC_PRIVATE, b""))
    raise AudioError("a WebM stream has no Opus track")


def _block(body: bytes, wanted: int) -> bytes | None:
    """The packet in a (Simple)Block (RFC 9559 §10.1), or None where it is of another track."""
    track = _vint(body, 0, 8)
    if track is None or len(body) < track[1] + 3:
        raise AudioError("a WebM block is shorter than its header")
    raw, length = track
    if raw & ((1 << 7 * length) - 1) != wanted:
        return None
    if body[length + 2] & 0x06:
        raise AudioError("laced WebM blocks are not supported")
    return body[length + 3 :]
