from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.media import Media, MediaDecoder
from audiocodecs.opus import OpusDecoder
from audiocodecs.wav import decode_wav, encode_wav
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

if TYPE_CHECKING:
    from tests.unit.audiocodecs.conftest import Ebml, OggWriter

Cuts = Callable[[bytes, list[int]], Iterator[bytes]]


def decode(decoder: MediaDecoder, *messages: bytes) -> Samples:
    parts = [decoder.push(message).samples for message in messages]
    return np.concatenate([*parts, decoder.flush()])


@pytest.fixture(scope="session")
def decoded(packets: list[bytes]) -> Samples:
    """What libopus makes of the packets."""
    decoder = OpusDecoder()
    return np.concatenate([decoder.push(*packets), decoder.flush()])


# --- a recorder's stream ------------------------------------------------------------------------------------------


def test_a_recorders_stream_is_decoded_as_it_grows(ebml: "Ebml", packets: list[bytes], decoded: Samples) -> None:
    decoder = MediaDecoder()
    stream = ebml.recording(packets)
    messages = [stream[at : at + 300] for at in range(0, len(stream), 300)]
    media = [decoder.push(message) for message in messages]
    assert decoder.kind == "webm"
    assert sum(1 for one in media if one.samples.size) > len(messages) // 2
    assert not any(one.end_of_utterance for one in media)
    assert np.array_equal(np.concatenate([*(one.samples for one in media), decoder.flush()]), decoded)


@given(places=st.lists(st.integers(0, 1 << 20), max_size=6))
@settings(deadline=None, max_examples=30)
def test_cuts_change_no_sample(
    ebml: "Ebml", packets: list[bytes], decoded: Samples, cuts: Cuts, places: list[int]
) -> None:
    assert np.array_equal(decode(MediaDecoder(), *cuts(ebml.recording(packets), places)), decoded)


def test_an_empty_message_is_nothing(ebml: "Ebml", packets: list[bytes]) -> None:
    decoder = MediaDecoder()
    assert decoder.push(b"").samples.size == 0
    decoder.push(ebml.recording(packets))
    assert decoder.push(b"").samples.size == 0


def test_a_recorder_restarted_in_mid_element_begins_anew(ebml: "Ebml", packets: list[bytes], decoded: Samples) -> None:
    decoder = MediaDecoder()
    decoder.push(ebml.recording(packets)[:-10])
    assert np.array_equal(decode(decoder, ebml.recording(packets)), decoded)


def test_a_restart_within_one_message(ebml: "Ebml", packets: list[bytes], decoded: Samples) -> None:
    stream = ebml.recording(packets)
    assert np.array_equal(decode(MediaDecoder(), stream + stream), np.concatenate([decoded, decoded]))


def test_a_whole_webm_file_ends_the_utterance(mux: Callable[..., bytes], voice: Samples) -> None:
    media = MediaDecoder().push(mux("webm"))
    assert media.end_of_utterance
    assert abs(media.samples.size - voice.size) <= 480


# --- ogg ----------------------------------------------------------------------------------------------------------


def test_an_ogg_stream_is_decoded_page_by_page(ogg: "OggWriter", packets: list[bytes], decoded: Samples) -> None:
    decoder = MediaDecoder()
    stream = ogg.recording(packets)
    # Every message begins with OggS here, and none but the first begins a stream.
    starts = [at for at in range(len(stream)) if stream[at : at + 4] == b"OggS"]
    pages = [stream[at:end] for at, end in zip(starts, [*starts[1:], len(stream)], strict=True)]
    media = [decoder.push(page) for page in pages]
    assert [one.end_of_utterance for one in media] == [False] * (len(pages) - 1) + [True]
    assert np.array_equal(np.concatenate([one.samples for one in media]), decoded)
    assert decoder.push(b"").end_of_utterance is False


def test_an_empty_last_page_still_ends_the_utterance(ogg: "OggWriter", packets: list[bytes]) -> None:
    decoder = MediaDecoder()
    decoder.push(ogg.begin() + ogg.packet_page(2, packets[0]))
    assert decoder.push(ogg.page(3, b"", b"", flags=4)).end_of_utterance


def test_two_ogg_files_are_two_utterances(ogg: "OggWriter", packets: list[bytes], decoded: Samples) -> None:
    decoder = MediaDecoder()
    for serial in (7, 8):
        media = decoder.push(ogg.recording(packets, serial=serial))
        assert media.end_of_utterance
        assert np.array_equal(media.samples, decoded)


# --- wav ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_a_wav_message_is_a_whole_utterance(voice: Samples, rate_hz: int) -> None:
    decoder = MediaDecoder()
    file = encode_wav(voice, rate_hz)
    for _ in range(2):
        media = decoder.push(file)
        assert media.end_of_utterance
        assert np.array_equal(media.samples, decode_wav(file))
    assert decoder.flush().size == 0


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF], ids=hex)
def test_a_wav_of_unknown_size_is_a_whole_utterance(voice: Samples, size: int) -> None:
    file = bytearray(encode_wav(voice, 16_000))
    file[40:44] = size.to_bytes(4, "little")
    media = MediaDecoder().push(bytes(file))
    assert media.end_of_utterance
    assert np.array_equal(media.samples, voice)


def test_a_wav_whose_header_comes_alone_is_a_stream(voice: Samples) -> None:
    decoder = MediaDecoder()
    file = encode_wav(voice, 8_000)
    assert decoder.push(file[:20]) == Media(decoder.push(b"").samples)
    assert decoder.push(file[20:44]).samples.size == 0
    media = [decoder.push(file[at : at + 5_000]) for at in range(44, len(file), 5_000)]
    assert [one.end_of_utterance for one in media] == [False] * (len(media) - 1) + [True]
    assert sum(one.samples.size for one in media) == 2 * voice.size
    assert decoder.flush().size == 0


def test_a_wav_after_a_recorders_stream(ebml: "Ebml", packets: list[bytes], voice: Samples) -> None:
    decoder = MediaDecoder()
    decoder.push(ebml.recording(packets))
    assert np.array_equal(decoder.push(encode_wav(voice, 16_000)).samples, voice)
    assert decoder.kind == "wav"


# --- raw ----------------------------------------------------------------------------------------------------------


def test_raw_audio_is_decoded_where_a_rate_is_given(voice: Samples) -> None:
    data = voice.tobytes()
    assert np.array_equal(decode(MediaDecoder(raw_rate_hz=16_000), data[:5], data[5:2001], data[2001:]), voice)
    assert decode(MediaDecoder(raw_rate_hz=8_000), data).size == 2 * voice.size


def test_raw_audio_is_refused_where_none_is(voice: Samples) -> None:
    with pytest.raises(AudioError, match="send WebM or Ogg with Opus, or WAV"):
        MediaDecoder().push(voice.tobytes())


def test_fewer_bytes_than_tell_a_kind_wait() -> None:
    decoder = MediaDecoder(raw_rate_hz=16_000)
    assert decoder.push(bytes(11)).samples.size == 0
    assert decoder.kind is None
    assert decoder.flush().size == 0


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "head"),
    [("mp4", b"\0\0\0\x20ftypM4A "), ("mp3", b"ID3\x04"), ("flac", b"fLaC"), ("aac", b"\xff\xf1\x50")],
)
def test_other_containers_are_refused_by_name(name: str, head: bytes) -> None:
    with pytest.raises(AudioError, match=f"{name} is not supported: send WebM or Ogg with Opus, or WAV"):
        MediaDecoder(raw_rate_hz=16_000).push(head + bytes(40))


def test_a_stream_message_is_bounded_over_all_its_recordings(ebml: "Ebml", packets: list[bytes]) -> None:
    one = ebml.recording(packets[:10])
    MediaDecoder(max_stream_samples=3_200).push(one)
    with pytest.raises(AudioTooLarge):
        MediaDecoder(max_stream_samples=3_200).push(one + one)


def test_a_stream_goes_on_beyond_the_bound_of_one_message(ebml: "Ebml", packets: list[bytes]) -> None:
    decoder = MediaDecoder(max_stream_samples=3_200)
    decoder.push(ebml.begin() + ebml.cluster())
    for _ in range(5):
        decoder.push(b"".join(map(ebml.block, packets[:10])))


def test_a_wav_message_is_bounded(voice: Samples) -> None:
    with pytest.raises(AudioTooLarge):
        MediaDecoder(max_samples=voice.size - 1).push(encode_wav(voice, 16_000))


@given(
    kind=st.sampled_from(["webm", "ogg", "wav"]),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=10),
)
@settings(deadline=None, max_examples=150)
def test_changed_bytes_raise_nothing_but_audio_errors(
    ebml: "Ebml",
    ogg: "OggWriter",
    packets: list[bytes],
    voice: Samples,
    kind: str,
    changes: list[tuple[int, int]],
) -> None:
    whole = {"webm": ebml.recording(packets[:12]), "ogg": ogg.recording(packets[:12]), "wav": encode_wav(voice, 8_000)}
    stream = bytearray(whole[kind])
    for place, value in changes:
        stream[place % len(stream)] = value
    try:
        out = decode(MediaDecoder(max_samples=40_000, max_stream_samples=40_000), bytes(stream))
    except AudioError:
        return
    assert out.size <= 40_000 + 48
