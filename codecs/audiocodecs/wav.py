"""WAV: a reader of anything that is sent under that name, and a writer of the one kind that every browser decodes.

Source: Microsoft Multimedia Programming Interface 1.0 (RIFF), WAVEFORMATEXTENSIBLE of the Windows driver kit.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from audiocodecs import g711
from audiocodecs.pcm import pcm_encode
from audiocodecs.resample import resample_whole
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

MAX_SAMPLES: Final = 600 * PIPELINE_RATE_HZ
"""Default bound of a decoded file: ten minutes at 16 kHz, 19 MB. Our choice: a turn is never longer."""

MAX_CHANNELS: Final = 32
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000

_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
_WIDTHS: Final = {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8), _ALAW: (1,), _ULAW: (1,)}
_RIFF_BYTES: Final = 12
_CHUNK_HEADER_BYTES: Final = 8
_FORMAT_BYTES: Final = 40
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What the ``fmt `` chunk says."""

    encoding: int
    """WAVE_FORMAT tag with EXTENSIBLE resolved: 1 PCM, 3 float, 6 A-law, 7 μ-law."""
    channels: int
    rate_hz: int
    width_bytes: int
    """Bytes of one sample of one channel."""


class WavReader:
    """Bytes of one growing WAV file to mono int16 at the file's own rate, channels averaged.

    Sizes in the header may be true, 0, 0xFFFFFFFF or larger than what comes: all bytes up to a true size are samples,
    otherwise all there are. Chunks other than ``fmt `` and ``data`` are skipped without being kept. ``max_samples``
    bounds what one call of :meth:`push` may give, counted at 16 kHz.
    """

    def __init__(self, *, max_samples: int = MAX_SAMPLES) -> None:
        self._max_samples = max_samples
        self._buffer = bytearray()
        self._skip_bytes = 0
        self._riff = False
        self._declared: WavFormat | None = None
        self._remaining: int | None = None
        """Bytes of samples still to come; None where that is not known."""
        self.format: WavFormat | None = None
        """Known once the samples have begun."""

    @property
    def complete(self) -> bool:
        """Whether all samples that the header promised have come."""
        return self._remaining == 0

    def push(self, data: bytes) -> Samples:
        """Mono int16, shape (n,), at ``format.rate_hz``.

        Raises:
            AudioTooLarge: more than ``max_samples``; checked before any sample is decoded.
            AudioError: not WAV, or an encoding that is not PCM, float, A-law or μ-law.
        """
        self._buffer += data
        at = 0
        while self.format is None:
            step = self._header(at)
            if step is None:
                break
            at += step
        # Once a push, not once a chunk: a file of a million empty chunks must not cost a million copies.
        del self._buffer[:at]
        return np.empty(0, np.int16) if self.format is None else self._samples(self.format)

    def _header(self, at: int) -> int | None:
        """Bytes of the header consumed at ``at``; None where more are needed."""
        if self._skip_bytes:
            taken = min(self._skip_bytes, len(self._buffer) - at)
            self._skip_bytes -= taken
            return taken or None
        if self._riff:
            return self._chunk(at)
        if len(self._buffer) < _RIFF_BYTES:
            return None
        if self._buffer[:4] != b"RIFF" or self._buffer[8:12] != b"WAVE":
            raise AudioError("not a WAV file: it must begin with RIFF....WAVE")
        self._riff = True
        return _RIFF_BYTES

    def _chunk(self, at: int) -> int | None:
        body = at + _CHUNK_HEADER_BYTES
        if len(self._buffer) < body:
            return None
        name, size = self._buffer[at : at + 4], int.from_bytes(self._buffer[at + 4 : body], "little")
        if name == b"data":
            if self._declared is None:
                raise AudioError("a WAV file has samples before their format")
            self.format, self._remaining = self._declared, None if size in _UNKNOWN_SIZES else size
            return _CHUNK_HEADER_BYTES
        wanted = min(size, _FORMAT_BYTES) if name == b"fmt " else 0
        if len(self._buffer) < body + wanted:
            return None
        if name == b"fmt ":
            self._declared = _parse_format(bytes(self._buffer[body : body + wanted]))
        self._skip_bytes = size - wanted + (size & 1)  # chunks are padded to even lengths
        return _CHUNK_HEADER_BYTES + wanted

    def _samples(self, form: WavFormat) -> Samples:
        available = len(self._buffer) if self._remaining is None else min(self._remaining, len(self._buffer))
        step = form.channels * form.width_bytes
        whole = available - available % step
        total = whole // step * PIPELINE_RATE_HZ // form.rate_hz
        if total > self._max_samples:
            raise AudioTooLarge(f"a WAV file holds {total} samples at 16 kHz, allowed are {self._max_samples}")
        taken = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        if self._remaining is not None:
            self._remaining -= whole
            if len(self._buffer) >= self._remaining:
                # What follows is another chunk, or part of a sample that will never be whole.
                self._remaining = 0
                self._buffer.clear()
        return _mono(taken, form)


def decode_wav(data: bytes, *, max_samples: int = MAX_SAMPLES) -> Samples:
    """Decode a whole file, complete or cut short, to 16 kHz mono int16.

    Raises:
        AudioTooLarge: it would decode to more than ``max_samples``; checked before any sample is decoded.
        AudioError: not WAV, an encoding that is not supported, or cut before its samples.
    """
    reader = WavReader(max_samples=max_samples)
    samples = reader.push(data)
    if reader.format is None:
        raise AudioError("a WAV file is cut before its samples")
    return resample_whole(samples, reader.format.rate_hz, PIPELINE_RATE_HZ)


def encode_wav(samples: Samples, rate_hz: int) -> bytes:
    """A complete mono PCM16 WAV file with true sizes, the kind that ``decodeAudioData`` takes everywhere."""
    body = pcm_encode(samples)
    form = struct.pack("<HHIIHH", _PCM, 1, rate_hz, 2 * rate_hz, 2, 16)
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", len(body)) + body


def _parse_format(chunk: bytes) -> WavFormat:
    if len(chunk) < 16:
        raise AudioError("a WAV format chunk is cut short")
    tag, channels, rate_hz, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 40 and chunk[26:40] == _GUID_TAIL:
        tag = int.from_bytes(chunk[24:26], "little")
    if tag not in _WIDTHS:
        raise AudioError(f"WAV encoding {tag:#x} is not supported: send PCM, float, A-law or μ-law")
    if not (1 <= channels <= MAX_CHANNELS and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ):
        raise AudioError(f"a WAV file claims {channels} channels at {rate_hz} Hz")
    width = block // channels
    if width not in _WIDTHS[tag] or width * channels != block or bits > 8 * width:
        raise AudioError(f"a WAV file claims {bits} bits a sample in blocks of {block} bytes")
    return WavFormat(tag, channels, rate_hz, width)


def _mono(data: bytes, form: WavFormat) -> Samples:
    values = _values(data, form)
    if form.channels == 1:
        return values
    mean: Samples = np.rint(values.reshape(-1, form.channels).mean(axis=1)).astype(np.int16)
    return mean


def _values(data: bytes, form: WavFormat) -> Samples:
    """All channels' samples as int16, interleaved as they stand."""
    if form.encoding == _ULAW:
        return g711.ulaw_decode(data)
    if form.encoding == _ALAW:
        return g711.alaw_decode(data)
    width = form.width_bytes
    if form.encoding == _FLOAT:
        return _from_float(np.frombuffer(data, f"<f{width}"))
    if width == 1:  # of all PCM 8-bit alone is unsigned
        return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    upper = np.frombuffer(data, np.uint8).reshape(-1, width)[:, width - 2 :]
    return np.frombuffer(upper.tobytes(), "<i2").astype(np.int16)


def _from_float(values: npt.NDArray[np.floating]) -> Samples:
    """Full scale is 1.0; NaN counts as silence."""
    scaled = np.clip(np.nan_to_num(values, nan=0.0), -1.0, 1.0) * 32768.0
    clipped: Samples = np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)
    return clipped
