import io
import struct
import wave
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs import g711
from audiocodecs.wav import WavFormat, WavReader, decode_wav, encode_wav
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
SAMPLES = np.array([0, 1000, -1000, 32767, -32768, 256], np.int16)
TRUE = -1


def fmt(tag: int, width: int, *, channels: int = 1, rate_hz: int = 16_000, extra: bytes = b"", bits: int = 0) -> bytes:
    block = width * channels
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits or 8 * width) + extra


def riff(form: bytes, body: bytes, *, size: int = TRUE, before: bytes = b"", after: bytes = b"") -> bytes:
    chunks = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(body) if size == TRUE else size) + body + after
    return b"RIFF" + struct.pack("<I", len(chunks) if size == TRUE else size) + chunks


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


PCM16 = riff(fmt(1, 2), SAMPLES.tobytes())


# --- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_a_written_file_is_read_by_the_standard_library(rate_hz: int) -> None:
    data = encode_wav(SAMPLES, rate_hz)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
        assert file.readframes(100) == SAMPLES.tobytes()
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    assert struct.unpack_from("<I", data, 40)[0] == len(data) - 44


def test_a_written_file_is_read_back() -> None:
    assert np.array_equal(decode_wav(encode_wav(SAMPLES, 16_000)), SAMPLES)
    assert decode_wav(encode_wav(SAMPLES[:0], 16_000)).size == 0


# --- encodings ----------------------------------------------------------------------------------------------------

ENCODINGS: dict[str, tuple[bytes, bytes, Samples]] = {
    "pcm8": (fmt(1, 1), bytes([128, 0, 255]), np.array([0, -32768, 127 << 8], np.int16)),
    "pcm16": (fmt(1, 2), SAMPLES.tobytes(), SAMPLES),
    "pcm24": (fmt(1, 3), b"".join(b"\x80" + sample.tobytes() for sample in SAMPLES), SAMPLES),
    "pcm32": (fmt(1, 4), b"".join(b"\x80\x80" + sample.tobytes() for sample in SAMPLES), SAMPLES),
    "pcm20_in_24": (fmt(1, 3, bits=20), b"".join(b"\0" + sample.tobytes() for sample in SAMPLES), SAMPLES),
    "float32": (fmt(3, 4), (SAMPLES / 32768).astype("<f4").tobytes(), SAMPLES),
    "float64": (fmt(3, 8), (SAMPLES / 32768).astype("<f8").tobytes(), SAMPLES),
    "float_wild": (
        fmt(3, 4),
        np.array([np.nan, np.inf, -np.inf, 1e30, 1.0], "<f4").tobytes(),
        np.array([0, 32767, -32768, 32767, 32767], np.int16),
    ),
    "alaw": (fmt(6, 1, extra=b"\0\0"), g711.alaw_encode(SAMPLES), g711.alaw_decode(g711.alaw_encode(SAMPLES))),
    "ulaw": (fmt(7, 1, extra=b"\0\0"), g711.ulaw_encode(SAMPLES), g711.ulaw_decode(g711.ulaw_encode(SAMPLES))),
    "extensible_pcm16": (
        fmt(0xFFFE, 2, extra=struct.pack("<HHIH", 22, 16, 4, 1) + GUID_TAIL),
        SAMPLES.tobytes(),
        SAMPLES,
    ),
    "extensible_float32": (
        fmt(0xFFFE, 4, extra=struct.pack("<HHIH", 22, 32, 4, 3) + GUID_TAIL),
        (SAMPLES / 32768).astype("<f4").tobytes(),
        SAMPLES,
    ),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding(name: str) -> None:
    form, body, expected = ENCODINGS[name]
    out = decode_wav(riff(form, body))
    assert out.dtype == np.int16
    assert out.tolist() == expected.tolist()


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_averaged(channels: int) -> None:
    body = np.stack([SAMPLES] + [np.zeros_like(SAMPLES)] * (channels - 1), axis=1).tobytes()
    out = decode_wav(riff(fmt(1, 2, channels=channels), body))
    assert out.tolist() == np.rint(SAMPLES / channels).tolist()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 12_345])
def test_any_rate_becomes_16_khz(tone: Callable[..., Samples], rate_hz: int) -> None:
    out = decode_wav(encode_wav(tone(rate_hz, 0.5, 1_000), rate_hz))
    assert abs(out.size - 8_000) <= 2
    spectrum = np.abs(np.fft.rfft(out[1000:7000].astype(float)))
    assert abs(int(spectrum.argmax()) - 375) <= 1  # 6000 samples of 1 kHz at 16 kHz


# --- sizes that lie -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 10_000], ids=hex)
def test_a_size_that_is_not_true_means_all_there_is(size: int) -> None:
    assert np.array_equal(decode_wav(riff(fmt(1, 2), SAMPLES.tobytes(), size=size)), SAMPLES)


def test_a_file_cut_short_gives_what_is_there() -> None:
    assert np.array_equal(decode_wav(PCM16[:-3]), SAMPLES[:-2])


def test_chunks_after_the_samples_are_no_samples() -> None:
    assert np.array_equal(decode_wav(riff(fmt(1, 2), SAMPLES.tobytes(), after=chunk(b"LIST", b"abcd"))), SAMPLES)


def test_half_a_sample_at_a_true_end_is_dropped() -> None:
    reader = WavReader()
    data = riff(fmt(1, 2), SAMPLES.tobytes() + b"\x01", after=b"\0" + chunk(b"LIST", b"abcd"))
    assert np.array_equal(reader.push(data), SAMPLES)
    assert reader.complete
    assert reader.push(b"more").size == 0


def test_other_chunks_are_skipped_with_their_padding() -> None:
    before = chunk(b"LIST", b"odd") + chunk(b"JUNK", bytes(70_000))
    assert np.array_equal(decode_wav(riff(fmt(1, 2), SAMPLES.tobytes(), before=before)), SAMPLES)


@pytest.mark.timeout(20)
def test_half_a_million_empty_chunks_cost_no_half_million_copies() -> None:
    before = chunk(b"JUNK", b"") * 500_000  # quadratic work here would be 1 TB of copying, some minutes
    assert np.array_equal(decode_wav(riff(fmt(1, 2), SAMPLES.tobytes(), before=before)), SAMPLES)


# --- streaming ----------------------------------------------------------------------------------------------------


@given(name=st.sampled_from(sorted(ENCODINGS)), places=st.lists(st.integers(0, 200), max_size=8))
def test_cuts_change_nothing(cuts: Callable[[bytes, list[int]], Iterator[bytes]], name: str, places: list[int]) -> None:
    form, body, _ = ENCODINGS[name]
    data = riff(form, body, before=chunk(b"LIST", b"odd"), after=chunk(b"LIST", b"abcd"))
    reader = WavReader()
    assert np.array_equal(np.concatenate([reader.push(piece) for piece in cuts(data, places)]), decode_wav(data))
    assert reader.complete


def test_the_format_is_known_when_the_samples_begin() -> None:
    reader = WavReader()
    formats = []
    for piece in (PCM16[:43], PCM16[43:44]):
        reader.push(piece)
        formats.append(reader.format)
    assert formats == [None, WavFormat(1, 1, 16_000, 2)]
    assert not reader.complete


# --- refusals -----------------------------------------------------------------------------------------------------

MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "other_magic": b"RIFX" + PCM16[4:],
    "other_form": PCM16[:8] + b"AVI " + PCM16[12:],
    "cut_in_its_header": PCM16[:30],
    "cut_in_a_skipped_chunk": riff(fmt(1, 2), b"", before=chunk(b"JUNK", bytes(100)))[:60],
    "samples_before_their_format": b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"abcd"),
    "format_chunk_too_short": riff(fmt(1, 2)[:14], SAMPLES.tobytes()),
    "adpcm": riff(fmt(2, 1), b"abcd"),
    "mp3_in_wav": riff(fmt(0x55, 1), b"abcd"),
    "extensible_of_unknown_guid": riff(fmt(0xFFFE, 2, extra=struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)), b"ab"),
    "extensible_cut_short": riff(fmt(0xFFFE, 2), b"abcd"),
    "no_channels": riff(struct.pack("<HHIIHH", 1, 0, 16_000, 32_000, 2, 16), b"abcd"),
    "too_many_channels": riff(fmt(1, 1, channels=33), bytes(66)),
    "rate_of_zero": riff(fmt(1, 2, rate_hz=0), b"abcd"),
    "rate_of_a_gigahertz": riff(fmt(1, 2, rate_hz=10**9), b"abcd"),
    "block_of_zero": riff(struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 0, 16), b"abcd"),
    "block_that_does_not_divide": riff(struct.pack("<HHIIHH", 1, 2, 16_000, 32_000, 5, 16), b"abcd"),
    "more_bits_than_bytes": riff(fmt(1, 2, bits=24), b"abcd"),
    "float16": riff(fmt(3, 2), b"abcd"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused(name: str) -> None:
    with pytest.raises(AudioError):
        decode_wav(MALFORMED[name])


def test_decoded_size_is_bounded() -> None:
    second = encode_wav(np.zeros(8_000, np.int16), 8_000)
    assert decode_wav(second, max_samples=16_000).size == 16_000
    with pytest.raises(AudioTooLarge):
        decode_wav(second, max_samples=15_999)


@given(
    name=st.sampled_from(sorted(ENCODINGS)),
    changes=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), min_size=1, max_size=10),
)
@settings(deadline=None, max_examples=300)
def test_changed_bytes_raise_nothing_but_audio_errors(name: str, changes: list[tuple[int, int]]) -> None:
    form, body, _ = ENCODINGS[name]
    data = bytearray(riff(form, body))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        out = decode_wav(bytes(data), max_samples=10_000)
    except AudioError:
        return
    assert out.dtype == np.int16
    assert out.size <= 10_001
