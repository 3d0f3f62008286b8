import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.opus import OpusDecoder, OpusHead
from audiocodecs.webm import MAX_ELEMENT_BYTES, MAX_SKIPPED_BYTES, WebmDemuxer
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError

if TYPE_CHECKING:
    from tests.unit.audiocodecs.conftest import Ebml

Cuts = Callable[[bytes, list[int]], Iterator[bytes]]
HEAD = OpusHead()


def test_a_recording_gives_its_head_and_its_packets(ebml: "Ebml", packets: list[bytes]) -> None:
    assert WebmDemuxer().push(ebml.recording(packets)) == [HEAD, *packets]


def test_every_byte_on_its_own_gives_the_same(ebml: "Ebml", packets: list[bytes]) -> None:
    demuxer = WebmDemuxer()
    stream = ebml.recording(packets)
    assert [item for byte in stream for item in demuxer.push(bytes([byte]))] == [HEAD, *packets]


@given(places=st.lists(st.integers(0, 1 << 20), max_size=8))
@settings(deadline=None)
def test_cuts_change_nothing(ebml: "Ebml", packets: list[bytes], cuts: Cuts, places: list[int]) -> None:
    demuxer = WebmDemuxer()
    assert [
        item for piece in cuts(ebml.recording(packets), places) for item in demuxer.push(piece)
    ] == [HEAD, *packets]  # fmt: skip


def test_a_packet_comes_out_with_its_last_byte(ebml: "Ebml", packets: list[bytes]) -> None:
    demuxer = WebmDemuxer()
    stream = ebml.begin() + ebml.cluster() + ebml.block(packets[0])
    assert demuxer.push(stream[:-1]) == [HEAD]
    assert demuxer.push(stream[-1:]) == [packets[0]]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_file_of_ffmpegs_muxer(mux: Callable[..., bytes], voice: Samples, streamed: bool) -> None:
    demuxer = WebmDemuxer()
    head, *found = demuxer.push(mux("webm", streamed=streamed))
    assert isinstance(head, OpusHead)
    assert head.pre_skip_samples == 312
    out = OpusDecoder(head).push(*(packet for packet in found if isinstance(packet, bytes)))
    assert abs(out.size - voice.size) <= 480
    assert float(np.corrcoef(out[2:14_002].astype(float), voice[4:14_004].astype(float))[0, 1]) > 0.85
    assert demuxer.ended is not streamed


def test_a_live_stream_never_ends(ebml: "Ebml", packets: list[bytes]) -> None:
    demuxer = WebmDemuxer()
    demuxer.push(ebml.recording(packets))
    assert not demuxer.ended


def test_a_restarted_recorder_begins_a_new_stream(ebml: "Ebml", packets: list[bytes]) -> None:
    first, second = ebml.recording(packets[:7]), ebml.recording(packets[7:])
    assert WebmDemuxer().push(first + second) == [HEAD, *packets[:7], HEAD, *packets[7:]]


def test_a_group_around_a_block_is_entered(ebml: "Ebml", packets: list[bytes]) -> None:
    block = ebml.element(0xA1, b"\x81\0\0\0" + packets[0])
    group = ebml.element(0xA0, block + ebml.element(0x75A2, b"\x01\x02"))
    assert WebmDemuxer().push(ebml.begin() + ebml.cluster() + group) == [HEAD, packets[0]]


def test_blocks_of_other_tracks_are_passed_over(ebml: "Ebml", packets: list[bytes]) -> None:
    video = ebml.track(1, b"V_VP8")
    stream = ebml.begin(ebml.element(0xBF, bytes(4)), video, ebml.track(2)) + ebml.cluster()
    stream += ebml.block(b"picture", track=1) + ebml.block(packets[0], track=2)
    assert WebmDemuxer().push(stream) == [HEAD, packets[0]]


@pytest.mark.parametrize("element_id", [0xEC, 0xA3, 0x1254C367], ids=["void", "video_key_frame", "tags"])
def test_a_long_element_is_skipped_without_being_kept(ebml: "Ebml", packets: list[bytes], element_id: int) -> None:
    demuxer = WebmDemuxer()
    demuxer.push(ebml.begin() + ebml.cluster())
    long = ebml.element(element_id, bytes(MAX_ELEMENT_BYTES * 10))
    for at in range(0, len(long), 1000):
        assert demuxer.push(long[at : at + 1000]) == []
        assert len(demuxer._buffer) < 2000
    assert demuxer.push(ebml.block(packets[0])) == [packets[0]]


@pytest.mark.parametrize("size_bytes", [1, 2, 3, 8])
def test_sizes_of_any_length_are_read(ebml: "Ebml", size_bytes: int) -> None:
    stream = ebml.begin() + ebml.cluster() + ebml.block(b"\x48", size_bytes=size_bytes)
    assert WebmDemuxer().push(stream) == [HEAD, b"\x48"]


def test_an_old_header_without_document_type_is_matroska(ebml: "Ebml", packets: list[bytes]) -> None:
    stream = ebml.recording(packets)
    plain = ebml.element(0x1A45DFA3, b"") + stream[len(ebml.header()) :]
    assert WebmDemuxer().push(plain) == [HEAD, *packets]


def test_a_restart_forgets_that_a_file_before_it_ended(mux: Callable[..., bytes], ebml: "Ebml") -> None:
    demuxer = WebmDemuxer()
    ended = [demuxer.ended for part in (mux("webm"), ebml.begin()) if demuxer.push(part)]
    assert ended == [True, False]


MALFORMED: dict[str, Callable[["Ebml"], bytes]] = {
    "begins_with_a_segment": lambda ebml: ebml.open_element(0x18538067),
    "zero_byte_for_an_id": lambda ebml: ebml.header() + bytes(8),
    "size_of_nine_bytes": lambda ebml: ebml.header() + b"\xec\x00",
    "document_of_another_type": lambda ebml: ebml.header(b"x3d"),
    "no_opus_track": lambda ebml: ebml.begin(ebml.track(codec=b"A_VORBIS")),
    "opus_track_without_head": lambda ebml: ebml.begin(ebml.track(head=b"")),
    "compressed_track": lambda ebml: ebml.begin(ebml.track(extra=ebml.element(0x6D80, b""))),
    "block_before_tracks": lambda ebml: ebml.header() + ebml.cluster() + ebml.block(b"\x48"),
    "block_before_tracks_of_a_restart": lambda ebml: ebml.begin() + ebml.header() + ebml.block(b"\x48"),
    "half_a_million_of_empty_elements": lambda ebml: ebml.header() + b"\xec\x80" * 500_000,
    "laced_block": lambda ebml: ebml.begin() + ebml.cluster() + ebml.block(b"\x48", flags=0x82),
    "block_without_header": lambda ebml: ebml.begin() + ebml.element(0xA3, b"\x81\0\0"),
    "block_of_nothing": lambda ebml: ebml.begin() + ebml.element(0xA3, b""),
    "tracks_of_unknown_size": lambda ebml: ebml.header() + ebml.open_element(0x1654AE6B),
    "tracks_too_long": lambda ebml: ebml.header() + ebml.element(0x1654AE6B, bytes(MAX_ELEMENT_BYTES + 1)),
    "child_longer_than_its_parent": lambda ebml: ebml.element(0x1A45DFA3, b"\x42\x82\x88web"),
    "child_cut_in_its_header": lambda ebml: ebml.element(0x1A45DFA3, b"\x42"),
    "child_of_unknown_size": lambda ebml: ebml.element(0x1A45DFA3, b"\x42\x82\xff"),
    "skip_of_a_terabyte": lambda ebml: ebml.header() + b"\xec\x01" + (1 << 40).to_bytes(7, "big"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_stream_is_refused(ebml: "Ebml", name: str) -> None:
    with pytest.raises(AudioError):
        WebmDemuxer().push(MALFORMED[name](ebml))


def test_the_longest_skip_is_above_the_longest_element() -> None:
    assert MAX_SKIPPED_BYTES > MAX_ELEMENT_BYTES


@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12))
@settings(deadline=None, max_examples=200)
def test_changed_bytes_raise_nothing_but_audio_errors(
    ebml: "Ebml", packets: list[bytes], changes: list[tuple[int, int]]
) -> None:
    stream = bytearray(ebml.recording(packets[:12]))
    for place, value in changes:
        stream[place % len(stream)] = value
    demuxer = WebmDemuxer()
    try:
        for at in range(0, len(stream), 97):
            demuxer.push(bytes(stream[at : at + 97]))
            assert len(demuxer._buffer) <= MAX_ELEMENT_BYTES + 128
    except AudioError:
        pass


@given(data=st.binary(max_size=300))
def test_rubbish_raises_nothing_but_audio_errors(ebml: "Ebml", data: bytes) -> None:
    for start in (b"", ebml.header(), ebml.begin() + ebml.cluster()):
        with contextlib.suppress(AudioError):
            WebmDemuxer().push(start + data)
