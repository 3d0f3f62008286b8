"""μ-law and A-law (ITU-T G.711), by table.

Code words are those of the ITU-T software tool library (G.191): negative samples are folded by ones' complement, so
that -1 encodes to the code nearest to zero. Output of either decoder is int16 on the full 16-bit scale (the 14-bit
μ-law and 13-bit A-law values shifted left).
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from voicegate.kernel.audio import Samples

Table: TypeAlias = npt.NDArray[np.uint8]

_ULAW_BIAS: Final = 33
"""Added to the 14-bit magnitude so that every segment begins at a power of two (G.711 §3.2)."""


def _all_samples() -> npt.NDArray[np.int32]:
    """Every int16 value in the order of its bits read as uint16: 0..32767, -32768..-1."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _ulaw_table() -> Table:
    linear = _all_samples()
    magnitude = np.minimum((np.where(linear < 0, ~linear, linear) >> 2) + _ULAW_BIAS, 0x1FFF)
    exponent = np.frexp(magnitude.astype(np.float64))[1].astype(np.int32) - 6
    code = (exponent << 4) | ((magnitude >> (exponent + 1)) & 0x0F)
    # All bits are sent inverted; the sign bit is 1 for positive samples.
    words: Table = np.where(linear < 0, ~code & 0x7F, ~code & 0xFF).astype(np.uint8)
    return words


def _alaw_table() -> Table:
    linear = _all_samples()
    magnitude = np.where(linear < 0, ~linear, linear) >> 4
    # Segments 0 and 1 share one step size, so the exponent of segment 0 counts as 1 in the shift.
    exponent = np.maximum(np.frexp(magnitude.astype(np.float64))[1].astype(np.int32) - 4, 0)
    code = (exponent << 4) | ((magnitude >> np.maximum(exponent - 1, 0)) & 0x0F)
    # Even bits are sent inverted.
    words: Table = (np.where(linear < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)
    return words


def _ulaw_values() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 4 * _ULAW_BIAS) << ((code >> 4) & 7)) - 4 * _ULAW_BIAS
    values: Samples = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return values


def _alaw_values() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent = (code >> 4) & 7
    mantissa = (code & 0x0F) + np.where(exponent > 0, 16, 0)
    magnitude = ((mantissa << 4) + 8) << np.maximum(exponent - 1, 0)
    values: Samples = np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)
    return values


_ULAW_ENCODE: Final = _ulaw_table()
_ALAW_ENCODE: Final = _alaw_table()
_ULAW_DECODE: Final = _ulaw_values()
_ALAW_DECODE: Final = _alaw_values()


ULAW_LEVELS: Final = _ULAW_DECODE.astype(np.float64)
ALAW_LEVELS: Final = _ALAW_DECODE.astype(np.float64)
"""The value of every code word, for those who go on computing."""


def ulaw_decode(data: bytes) -> Samples:
    """Decode μ-law bytes: int16, shape (len(data),), at the rate they were sampled (8 kHz on the phone)."""
    return _ULAW_DECODE.take(np.frombuffer(data, np.uint8))


def alaw_decode(data: bytes) -> Samples:
    """Decode A-law bytes: int16, shape (len(data),), at the rate they were sampled (8 kHz on the phone)."""
    return _ALAW_DECODE.take(np.frombuffer(data, np.uint8))


def ulaw_encode(samples: Samples) -> bytes:
    """Encode int16 samples of shape (n,) as n μ-law bytes."""
    return _ULAW_ENCODE.take(samples.view(np.uint16)).tobytes()


def alaw_encode(samples: Samples) -> bytes:
    """Encode int16 samples of shape (n,) as n A-law bytes."""
    return _ALAW_ENCODE.take(samples.view(np.uint16)).tobytes()
