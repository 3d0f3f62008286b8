"""G.711 against a bit-by-bit reading of the ITU-T algorithm, over every possible value."""

from collections.abc import Callable

import numpy as np
import pytest

from audiocodecs import g711
from voicegate.kernel.audio import Samples

EVERY_SAMPLE: Samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
EVERY_CODE = bytes(range(256))


def ulaw_compress(sample: int) -> int:
    """One sample, with shifts and compares only."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment, rest = 1, magnitude >> 6
    while rest:
        segment, rest = segment + 1, rest >> 1
    high, low = 8 - segment, 0x0F - (magnitude >> segment & 0x0F)
    return high << 4 | low | (0x80 if sample >= 0 else 0)


def ulaw_expand(code: int) -> int:
    sign = -1 if code < 0x80 else 1
    mantissa = ~code
    exponent = mantissa >> 4 & 7
    step = 4 << (exponent + 1)
    return sign * ((0x80 << exponent) + step * (mantissa & 0x0F) + step // 2 - 4 * 33)


def alaw_compress(sample: int) -> int:
    value = (~sample if sample < 0 else sample) >> 4
    if value > 15:
        exponent = 1
        while value > 16 + 15:
            value, exponent = value >> 1, exponent + 1
        value = value - 16 + (exponent << 4)
    return (value | (0x80 if sample >= 0 else 0)) ^ 0x55


def alaw_expand(code: int) -> int:
    value = (code ^ 0x55) & 0x7F
    exponent, mantissa = value >> 4, value & 0x0F
    if exponent > 0:
        mantissa += 16
    mantissa = (mantissa << 4) + 8
    if exponent > 1:
        mantissa <<= exponent - 1
    return mantissa if code & 0x80 else -mantissa


@pytest.mark.parametrize(
    ("encode", "reference"), [(g711.ulaw_encode, ulaw_compress), (g711.alaw_encode, alaw_compress)]
)
def test_every_sample_encodes_as_the_reference(
    encode: Callable[[Samples], bytes], reference: Callable[[int], int]
) -> None:
    assert encode(EVERY_SAMPLE) == bytes(reference(int(sample)) for sample in EVERY_SAMPLE)


@pytest.mark.parametrize(("decode", "reference"), [(g711.ulaw_decode, ulaw_expand), (g711.alaw_decode, alaw_expand)])
def test_every_code_decodes_as_the_reference(
    decode: Callable[[bytes], Samples], reference: Callable[[int], int]
) -> None:
    decoded = decode(EVERY_CODE)
    assert decoded.dtype == np.int16
    assert decoded.tolist() == [reference(code) for code in EVERY_CODE]


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.ulaw_encode, g711.ulaw_decode), (g711.alaw_encode, g711.alaw_decode)]
)
def test_a_decoded_sample_encodes_to_itself(
    encode: Callable[[Samples], bytes], decode: Callable[[bytes], Samples]
) -> None:
    once = decode(encode(EVERY_SAMPLE))
    assert np.array_equal(decode(encode(once)), once)


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.ulaw_encode, g711.ulaw_decode), (g711.alaw_encode, g711.alaw_decode)]
)
def test_the_error_stays_within_half_a_step(
    encode: Callable[[Samples], bytes], decode: Callable[[bytes], Samples]
) -> None:
    inside = EVERY_SAMPLE[np.abs(EVERY_SAMPLE.astype(np.int32)) < 32_000].astype(np.int32)
    error = np.abs(decode(encode(inside.astype(np.int16))).astype(np.int32) - inside)
    # Half a step of a segment is 1/32 of its lower end, counted with the μ-law bias; folding negatives costs 1 more.
    assert np.all(error <= np.maximum(8, (np.abs(inside) + 132) // 32) + 1)


def test_silence_has_its_well_known_codes() -> None:
    assert g711.ulaw_encode(np.zeros(2, np.int16)) == b"\xff\xff"
    assert g711.alaw_encode(np.zeros(2, np.int16)) == b"\xd5\xd5"
    assert g711.ulaw_decode(b"\xff\x7f").tolist() == [0, 0]


def test_nothing_in_nothing_out() -> None:
    assert g711.ulaw_decode(b"").size == 0
    assert g711.alaw_encode(np.empty(0, np.int16)) == b""
