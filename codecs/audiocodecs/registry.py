"""Stream formats by name, as a client negotiates them: decoders to the pipeline's 16 kHz, encoders from any rate.

=========  ==========================================  ============================
name       on the wire                                 rates (Hz)
=========  ==========================================  ============================
pcm16      int16, little-endian                        8000, 16000, 24000, 48000
l16        int16, network byte order (RFC 3551)        8000, 16000, 24000, 48000
pcmu       μ-law (ITU-T G.711)                         8000, 16000
pcma       A-law (ITU-T G.711)                         8000, 16000
opus       one Opus packet a message (RFC 6716)        8000, 12000, 16000, 24000, 48000
=========  ==========================================  ============================
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from audiocodecs import g711
from audiocodecs.framing import Framer
from audiocodecs.opus import ENCODER_RATES_HZ, MAX_SAMPLES, OpusDecoder, OpusEncoder
from audiocodecs.pcm import PcmDecoder, pcm_encode
from audiocodecs.resample import Resampler
from audiocodecs.telephony import RATE_HZ as TELEPHONE_RATE_HZ
from audiocodecs.telephony import TelephonyDecoder
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples, frame_samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

_LINEAR_RATES_HZ: Final = (8_000, 16_000, 24_000, 48_000)
_PHONE_RATES_HZ: Final = (8_000, 16_000)

FORMATS: Final[dict[str, tuple[int, ...]]] = {
    "pcm16": _LINEAR_RATES_HZ,
    "l16": _LINEAR_RATES_HZ,
    "pcmu": _PHONE_RATES_HZ,
    "pcma": _PHONE_RATES_HZ,
    "opus": ENCODER_RATES_HZ,
}
"""Names and the rates each may have."""


class StreamDecoder(Protocol):
    """One caller's audio. Not shared between calls."""

    def push(self, data: bytes, /) -> Samples:
        """16 kHz mono int16, any length, for the bytes of one message (for ``opus``: one packet).

        Raises:
            AudioTooLarge: the message would decode to more than the bound; nothing was decoded.
            AudioError: it is not the audio it claims to be.
        """
        ...

    def flush(self) -> Samples:
        """End of stream: what the resampler still holds."""
        ...


class StreamEncoder(Protocol):
    """Audio to one caller. Not shared between calls."""

    @property
    def rate_hz(self) -> int:
        """Rate of the samples that :meth:`push` takes."""
        ...

    def push(self, samples: Samples) -> list[bytes]:
        """One packet of 20 ms for every frame completed by ``samples`` (mono int16 at ``rate_hz``)."""
        ...

    def flush(self) -> list[bytes]:
        """End of stream: the rest, padded with silence to a frame."""
        ...


def open_decoder(form: str, rate_hz: int, *, max_samples: int = MAX_SAMPLES) -> StreamDecoder:
    """A decoder for ``form`` at ``rate_hz``; ``max_samples`` (at 16 kHz) bounds what one message may hold.

    Raises:
        AudioError: a name or rate that is not in :data:`FORMATS`.
    """
    _check(form, rate_hz)
    match form:
        case "opus":
            return OpusDecoder(max_samples=max_samples)
        case "pcmu" | "pcma" if rate_hz == TELEPHONE_RATE_HZ:
            return TelephonyDecoder(form, max_samples=max_samples)
        case "pcmu":
            return _Linear(_Bytes(g711.ulaw_decode), rate_hz, 1, max_samples)
        case "pcma":
            return _Linear(_Bytes(g711.alaw_decode), rate_hz, 1, max_samples)
        case _:
            return _Linear(PcmDecoder("big" if form == "l16" else "little"), rate_hz, 2, max_samples)


def open_encoder(form: str, rate_hz: int) -> StreamEncoder:
    """An encoder for ``form`` that takes samples at ``rate_hz``.

    Raises:
        AudioError: a name or rate that is not in :data:`FORMATS`.
    """
    _check(form, rate_hz)
    match form:
        case "opus":
            return OpusEncoder(rate_hz)
        case "pcmu":
            return PlainEncoder(g711.ulaw_encode, rate_hz)
        case "pcma":
            return PlainEncoder(g711.alaw_encode, rate_hz)
        case "l16":
            return PlainEncoder(lambda frame: pcm_encode(frame, "big"), rate_hz)
        case _:
            return PlainEncoder(pcm_encode, rate_hz)


def _check(form: str, rate_hz: int) -> None:
    if rate_hz not in FORMATS.get(form, ()):
        known = "; ".join(f"{name} at {', '.join(map(str, rates))}" for name, rates in FORMATS.items())
        raise AudioError(f"audio format {form!r} at {rate_hz} Hz is not supported; supported are {known}")


class _Bytes:
    """A stateless conversion as a decoder."""

    def __init__(self, convert: Callable[[bytes], Samples]) -> None:
        self.push = convert

    def flush(self) -> Samples:
        return np.empty(0, np.int16)


class _Linear:
    """A decoder whose output size is known from the input's, then the resampler."""

    def __init__(self, decoder: StreamDecoder, rate_hz: int, width_bytes: int, max_samples: int) -> None:
        self._decoder = decoder
        self._resampler = Resampler(rate_hz, PIPELINE_RATE_HZ)
        self._max_bytes = max_samples * rate_hz // PIPELINE_RATE_HZ * width_bytes

    def push(self, data: bytes) -> Samples:
        if len(data) > self._max_bytes:
            raise AudioTooLarge(f"an audio message has {len(data)} bytes, allowed are {self._max_bytes}")
        return self._resampler.push(self._decoder.push(data))

    def flush(self) -> Samples:
        self._decoder.flush()
        return self._resampler.flush()


class PlainEncoder:
    """20 ms frames through a stateless conversion."""

    def __init__(self, convert: Callable[[Samples], bytes], rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._convert = convert
        self._frame = frame_samples(rate_hz)
        self._framer = Framer(rate_hz)

    def push(self, samples: Samples) -> list[bytes]:
        if self._framer.pending or samples.size % self._frame:
            return [self._convert(frame) for frame in self._framer.push(samples)]
        together = self._convert(samples)  # whole frames, in one go
        size = len(together) * self._frame // max(1, samples.size)
        return [together[at : at + size] for at in range(0, len(together), size)]

    def whole(self, frames: Samples) -> bytes:
        """Whole frames as one packet, where nothing waits in :meth:`push`."""
        return self._convert(frames)

    def flush(self) -> list[bytes]:
        return [self._convert(frame) for frame in self._framer.flush()]
