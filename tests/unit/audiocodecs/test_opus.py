import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.opus import (
    ENCODER_RATES_HZ,
    OpusDecoder,
    OpusEncoder,
    OpusHead,
    packet_samples,
    parse_opus_head,
)
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

TWENTY_MS_OF_NOTHING = b"\x48"
"""A packet of one TOC byte: one wideband SILK frame of no bytes, which the decoder fills in."""


def head(*, version: int = 1, channels: int = 1, pre_skip: int = 312, gain: int = 0, tail: bytes = b"\0") -> bytes:
    return b"OpusHead" + struct.pack("<BBHIh", version, channels, pre_skip, 48_000, gain) + tail


# --- headers ------------------------------------------------------------------------------------------------------


def test_a_head_gives_channels_pre_skip_and_gain() -> None:
    assert parse_opus_head(head(channels=2, pre_skip=3840, gain=-256)) == OpusHead(2, 3840, -256)


def test_a_head_of_family_1_with_one_stream_is_stereo() -> None:
    assert parse_opus_head(head(channels=2, tail=b"\x01\x01\x01\x00\x01")).channels == 2


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(head()[:18], id="cut_short"),
        pytest.param(b"OpusHeat" + head()[8:], id="other_magic"),
        pytest.param(head(version=16), id="unknown_major_version"),
        pytest.param(head(channels=0), id="no_channels"),
        pytest.param(head(channels=6, tail=b"\x01\x04\x02" + bytes(6)), id="surround"),
        pytest.param(head(tail=b"\xff"), id="family_255"),
        pytest.param(head(channels=2, tail=b"\x01\x02\x00\x00\x01"), id="family_1_of_two_streams"),
        pytest.param(head(channels=2, tail=b"\x01\x01\x01\x00"), id="family_1_cut_short"),
    ],
)
def test_a_bad_head_is_refused(data: bytes) -> None:
    with pytest.raises(AudioError):
        parse_opus_head(data)


# --- durations ----------------------------------------------------------------------------------------------------

FRAME_MS = [10, 20, 40, 60] * 3 + [10, 20] * 2 + [2.5, 5, 10, 20] * 4
"""RFC 6716, table 2, by configuration number."""


@pytest.mark.parametrize("config", range(32))
def test_a_packet_is_as_long_as_its_toc_says(config: int) -> None:
    frame = int(FRAME_MS[config] * 48)
    assert packet_samples(bytes([config << 3])) == frame
    assert packet_samples(bytes([config << 3 | 1, 0])) == 2 * frame
    assert packet_samples(bytes([config << 3 | 2, 0])) == 2 * frame
    most = int(120 // FRAME_MS[config])
    assert packet_samples(bytes([config << 3 | 3, 0xC0 | most])) == most * frame
    with pytest.raises(AudioError, match="claims"):
        packet_samples(bytes([config << 3 | 3, most + 1]))


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00"], ids=["empty", "no_count", "count_of_zero"])
def test_a_packet_without_frames_is_refused(packet: bytes) -> None:
    with pytest.raises(AudioError):
        packet_samples(packet)


# --- decoding -----------------------------------------------------------------------------------------------------


def best_match(out: Samples, source: Samples) -> tuple[float, int]:
    """Highest correlation over shifts of up to 2 ms, and that shift in samples."""
    inside = source[1000:15000].astype(np.float64)
    shifted = {lag: out[1000 + lag : 15000 + lag].astype(np.float64) for lag in range(-32, 33)}
    return max((float(np.corrcoef(part, inside)[0, 1]), lag) for lag, part in shifted.items())


def test_voice_survives_the_round_trip_in_its_place(voice: Samples, packets: list[bytes]) -> None:
    decoder = OpusDecoder(OpusHead(pre_skip_samples=OpusEncoder(16_000).pre_skip_samples))
    out = np.concatenate([decoder.push(*packets), decoder.flush()])
    assert out.dtype == np.int16
    likeness, lag = best_match(out, voice)
    assert likeness > 0.85
    assert abs(lag) <= 3  # SILK is not aligned better than that with the pre-skip that libopus names


@pytest.mark.parametrize("rate_hz", ENCODER_RATES_HZ)
def test_every_rate_encodes_20_ms_at_once(tone: Callable[..., Samples], rate_hz: int) -> None:
    encoder = OpusEncoder(rate_hz)
    made = [encoder.push(frame) for frame in tone(rate_hz, 1.0, 1_000).reshape(50, -1)]
    assert [len(one) for one in made] == [1] * 50
    assert all(packet_samples(packet) == 960 for one in made for packet in one)
    out = OpusDecoder().push(*(packet for one in made for packet in one))
    likeness, _ = best_match(out, tone(16_000, 1.0, 1_000))
    assert likeness > 0.98


def test_one_by_one_is_the_same_as_all_at_once(packets: list[bytes]) -> None:
    single, whole = OpusDecoder(), OpusDecoder()
    parts = [single.push(packet) for packet in packets]
    assert np.array_equal(np.concatenate(parts), whole.push(*packets))
    assert np.array_equal(single.flush(), whole.flush())


def test_pre_skip_may_be_longer_than_a_packet(packets: list[bytes]) -> None:
    plain, skipping = OpusDecoder(), OpusDecoder(OpusHead(pre_skip_samples=960 + 480))
    assert plain.push(*packets).size - skipping.push(*packets).size == 480  # 30 ms at 16 kHz


def test_output_gain_is_applied(packets: list[bytes]) -> None:
    plain = OpusDecoder().push(*packets).astype(np.float64)
    halved = OpusDecoder(OpusHead(output_gain=-1541)).push(*packets).astype(np.float64)  # -6.02 dB
    assert np.sqrt(np.mean(halved**2) / np.mean(plain**2)) == pytest.approx(0.5, abs=0.01)


def test_a_packet_of_toc_alone_is_filled_in() -> None:
    decoder = OpusDecoder()
    assert decoder.push(TWENTY_MS_OF_NOTHING).size + decoder.flush().size == 320


def test_nothing_decodes_to_nothing() -> None:
    assert OpusDecoder().push().size == 0


def test_size_is_bounded_before_decoding(packets: list[bytes]) -> None:
    decoder = OpusDecoder(max_samples=640)
    with pytest.raises(AudioTooLarge):
        decoder.push(*packets[:3])
    # Nothing of the refused message reached libopus or the resampler.
    assert np.array_equal(decoder.push(*packets[:2]), OpusDecoder().push(*packets[:2]))


def test_a_megabyte_of_silence_is_refused_at_once() -> None:
    with pytest.raises(AudioTooLarge):
        OpusDecoder().push(*[b"\x1b\x02"] * 500_000)


def test_a_refused_packet_leaves_the_decoder_usable(packets: list[bytes]) -> None:
    decoder = OpusDecoder()
    with pytest.raises(AudioError, match="refuses"):
        decoder.push(b"\xfb\x83\xff\xff\xff")
    assert decoder.push(packets[0]).size > 0


@given(packet=st.binary(min_size=1, max_size=80))
@settings(deadline=None)
def test_any_bytes_decode_to_their_length_or_are_refused(packet: bytes) -> None:
    decoder = OpusDecoder()
    try:
        out = decoder.push(packet)
    except AudioError:
        return
    assert out.size + decoder.flush().size == -(-packet_samples(packet) // 3)


# --- encoding -----------------------------------------------------------------------------------------------------


def test_a_rate_that_opus_does_not_take_is_refused() -> None:
    with pytest.raises(AudioError, match="44100"):
        OpusEncoder(44_100)


def test_flush_sends_the_rest_and_makes_it_new(voice: Samples) -> None:
    encoder = OpusEncoder(16_000)
    first = encoder.push(voice[:7000]) + encoder.flush()
    assert sum(map(packet_samples, first)) * 16_000 // 48_000 >= 7000
    assert encoder.push(voice[:7000]) + encoder.flush() == first


def test_any_lengths_give_the_same_packets(voice: Samples, packets: list[bytes]) -> None:
    encoder = OpusEncoder(16_000)
    made = [packet for piece in np.array_split(voice, 37) for packet in encoder.push(piece)]
    assert made + encoder.flush() == packets
