import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.ogg import MAX_PACKET_BYTES, OggDemuxer
from audiocodecs.opus import OpusDecoder, OpusHead
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError

if TYPE_CHECKING:
    from tests.unit.audiocodecs.conftest import OggWriter

Cuts = Callable[[bytes, list[int]], Iterator[bytes]]
HEAD = OpusHead()


def test_a_recording_gives_its_head_and_its_packets(ogg: "OggWriter", packets: list[bytes]) -> None:
    assert OggDemuxer().push(ogg.recording(packets)) == [HEAD, *packets]


@pytest.mark.parametrize(("missing", "ended"), [(1, False), (0, True)])
def test_a_stream_ends_with_the_last_byte_of_its_last_page(
    ogg: "OggWriter", packets: list[bytes], missing: int, ended: bool
) -> None:
    demuxer = OggDemuxer()
    stream = ogg.recording(packets)
    demuxer.push(stream[: len(stream) - missing])
    assert demuxer.ended is ended


@given(places=st.lists(st.integers(0, 1 << 20), max_size=8))
@settings(deadline=None)
def test_cuts_change_nothing(ogg: "OggWriter", packets: list[bytes], cuts: Cuts, places: list[int]) -> None:
    demuxer = OggDemuxer()
    found = [item for piece in cuts(ogg.recording(packets), places) for item in demuxer.push(piece)]
    assert found == [HEAD, *packets]


def test_every_byte_on_its_own_gives_the_same(ogg: "OggWriter", packets: list[bytes]) -> None:
    demuxer = OggDemuxer()
    stream = ogg.recording(packets)
    assert [item for byte in stream for item in demuxer.push(bytes([byte]))] == [HEAD, *packets]


def test_a_file_of_ffmpegs_muxer(mux: Callable[..., bytes], voice: Samples) -> None:
    demuxer = OggDemuxer()
    head, *found = demuxer.push(mux("ogg"))
    assert isinstance(head, OpusHead)
    assert head.pre_skip_samples == 312
    out = OpusDecoder(head).push(*(packet for packet in found if isinstance(packet, bytes)))
    assert abs(out.size - voice.size) <= 480
    assert float(np.corrcoef(out[2:14_002].astype(float), voice[4:14_004].astype(float))[0, 1]) > 0.85
    assert demuxer.ended


@pytest.mark.parametrize("length", [254, 255, 256, 510, 1000])
def test_a_packet_of_any_length_ends_where_its_lacing_ends(ogg: "OggWriter", length: int) -> None:
    first, second = b"\x48" + bytes(length - 1), b"\x49"
    assert OggDemuxer().push(ogg.begin() + ogg.packet_page(2, first, second)) == [HEAD, first, second]


def test_a_packet_may_cross_pages(ogg: "OggWriter") -> None:
    packet = bytes(range(256)) * 3
    stream = ogg.begin() + ogg.page(2, b"\xff", packet[:255]) + ogg.page(3, b"\xff", packet[255:510], flags=1)
    stream += ogg.page(4, b"\xff\x03\x01", packet[510:] + b"\x48", flags=1)
    assert OggDemuxer().push(stream) == [HEAD, packet, b"\x48"]


def test_a_page_may_hold_no_packet(ogg: "OggWriter") -> None:
    demuxer = OggDemuxer()
    assert demuxer.push(ogg.begin() + ogg.page(2, b"", b"", flags=4)) == [HEAD]
    assert demuxer.ended


def test_what_a_lost_page_tore_apart_is_dropped(ogg: "OggWriter") -> None:
    stream = ogg.begin() + ogg.page(2, b"\x01\xff", b"\x48" + bytes(255))
    torn = ogg.page(4, b"\xff\x01\x01", bytes(256) + b"\x49", flags=1)  # page 3 never came
    assert OggDemuxer().push(stream + torn) == [HEAD, b"\x48", b"\x49"]


def test_a_packet_that_is_not_continued_is_dropped(ogg: "OggWriter") -> None:
    stream = ogg.begin() + ogg.page(2, b"\xff", bytes(255)) + ogg.page(3, b"\x01", b"\x49")
    assert OggDemuxer().push(stream) == [HEAD, b"\x49"]


def test_the_middle_of_a_torn_packet_is_dropped_too(ogg: "OggWriter") -> None:
    stream = ogg.begin() + ogg.page(3, b"\xff", bytes(255), flags=1) + ogg.page(4, b"\x01\x01", b"\x01\x49", flags=1)
    assert OggDemuxer().push(stream) == [HEAD, b"\x49"]


def test_a_long_comment_header_is_not_kept(ogg: "OggWriter") -> None:
    demuxer = OggDemuxer()
    tags = ogg.tags + bytes(255 * 255 - len(ogg.tags))
    demuxer.push(ogg.packet_page(0, ogg.head, flags=2) + ogg.page(1, b"\xff" * 255, tags))
    for sequence in range(2, 8):
        demuxer.push(ogg.page(sequence, b"\xff" * 255, bytes(255 * 255), flags=1))
        assert demuxer._partial == b"OpusTags"
    assert demuxer.push(ogg.page(8, b"\0\x01", b"\x48", flags=1)) == [b"\x48"]


def test_chained_streams_begin_anew(ogg: "OggWriter", packets: list[bytes]) -> None:
    stream = ogg.recording(packets[:3]) + ogg.recording(packets[3:], serial=8)
    assert OggDemuxer().push(stream) == [HEAD, *packets[:3], HEAD, *packets[3:]]


def test_a_stream_that_was_never_ended_may_be_followed(ogg: "OggWriter", packets: list[bytes]) -> None:
    stream = ogg.begin() + ogg.packet_page(2, packets[0]) + ogg.recording(packets[1:], serial=8)
    assert OggDemuxer().push(stream) == [HEAD, packets[0], HEAD, *packets[1:]]


def test_streams_beside_it_are_passed_over(ogg: "OggWriter") -> None:
    other = {"serial": 9}
    stream = ogg.packet_page(0, b"\x80theora", flags=2, **other) + ogg.packet_page(0, ogg.head, flags=2)
    stream += ogg.packet_page(0, ogg.head, flags=2, **other) + ogg.packet_page(1, ogg.tags)
    stream += ogg.packet_page(1, b"picture", **other) + ogg.packet_page(2, b"\x48", flags=4)
    stream += ogg.packet_page(2, b"picture", **other)
    assert OggDemuxer().push(stream) == [HEAD, b"\x48"]


MALFORMED: dict[str, Callable[["OggWriter"], bytes]] = {
    "other_magic": lambda ogg: b"OggT",
    "other_magic_in_part": lambda ogg: b"Ox",
    "version_1": lambda ogg: b"OggS\x01" + bytes(30),
    "wrong_checksum": lambda ogg: ogg.begin()[:-1] + b"\x01",
    "vorbis": lambda ogg: ogg.packet_page(0, b"\x01vorbis", flags=2) + ogg.packet_page(1, b"\x03vorbis"),
    "begins_in_the_middle": lambda ogg: ogg.packet_page(5, b"\x48"),
    "head_cut_short": lambda ogg: ogg.packet_page(0, b"OpusHead\x01", flags=2),
    "no_comment_header": lambda ogg: ogg.packet_page(0, ogg.head, flags=2) + ogg.packet_page(1, b"\x48"),
    "packet_too_long": lambda ogg: ogg.begin() + ogg.packet_page(2, bytes(MAX_PACKET_BYTES + 1)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_stream_is_refused(ogg: "OggWriter", name: str) -> None:
    with pytest.raises(AudioError):
        OggDemuxer().push(MALFORMED[name](ogg))


def test_the_longest_packet_is_taken(ogg: "OggWriter") -> None:
    longest = bytes(MAX_PACKET_BYTES)
    assert OggDemuxer().push(ogg.begin() + ogg.packet_page(2, longest)) == [HEAD, longest]


@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=150)
def test_changed_bytes_never_come_through(
    ogg: "OggWriter", packets: list[bytes], changes: list[tuple[int, int]]
) -> None:
    stream = bytearray(ogg.recording(packets[:12], per_page=4))
    for place, value in changes:
        stream[place % len(stream)] = value
    try:
        found = OggDemuxer().push(bytes(stream))
    except AudioError:
        return
    assert found == [HEAD, *packets[:12]][: len(found)]


@given(body=st.binary(max_size=400), lacing=st.binary(max_size=6), flags=st.integers(0, 7), sequence=st.integers(0, 3))
def test_pages_of_rubbish_raise_nothing_but_audio_errors(
    ogg: "OggWriter", body: bytes, lacing: bytes, flags: int, sequence: int
) -> None:
    page = ogg.page(sequence, lacing, body.ljust(sum(lacing), b"\0")[: sum(lacing)], flags=flags)
    for start in (b"", ogg.begin(), ogg.packet_page(0, ogg.head, flags=2)):
        with contextlib.suppress(AudioError):
            OggDemuxer().push(start + page + page)
