"""Whatever a simple client sends, told by its first bytes: a recorder's WebM stream, Ogg, WAV files, or raw PCM.

Containers are read by our own parsers only, never by FFmpeg's: of a stranger's bytes only single Opus packets reach a
decoder written in C.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audiocodecs import wav
from audiocodecs.ogg import OggDemuxer
from audiocodecs.opus import MAX_SAMPLES, OPUS_RATE_HZ, OpusDecoder, OpusHead, packet_samples
from audiocodecs.registry import open_decoder
from audiocodecs.resample import Resampler, resample_whole
from audiocodecs.sniff import SNIFF_BYTES, MediaKind, sniff
from audiocodecs.wav import WavReader
from audiocodecs.webm import WebmDemuxer
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

SUPPORTED = "send WebM or Ogg with Opus, or WAV"

_EMPTY: Samples = np.empty(0, np.int16)


@dataclass(frozen=True, slots=True)
class Media:
    """What one message held."""

    samples: Samples
    """16 kHz mono int16, shape (n,), n may be 0."""
    end_of_utterance: bool = False
    """The message completed a recording (a whole file): no silence will follow, so the turn ends here."""


class _Stream(Protocol):
    def push(self, message: bytes, /) -> Media: ...

    def flush(self) -> Samples: ...


class MediaDecoder:
    """One connection's messages to 16 kHz mono int16.

    The first 12 bytes decide; a message that begins like another file (a restarted recorder, the next WAV) begins
    anew. ``raw_rate_hz`` is the rate of messages that are nothing known, taken as int16 little-endian; None refuses
    them. ``max_samples`` bounds what one WAV message decodes to, ``max_stream_samples`` any other message; both at
    16 kHz. After an :class:`AudioError` the object is of no further use.
    """

    def __init__(
        self,
        *,
        raw_rate_hz: int | None = None,
        max_samples: int = wav.MAX_SAMPLES,
        max_stream_samples: int = MAX_SAMPLES,
    ) -> None:
        self._raw_rate_hz = raw_rate_hz
        self._max_samples = max_samples
        self._max_stream_samples = max_stream_samples
        self._waiting = b""
        self._stream: _Stream | None = None
        self.kind: MediaKind | None = None
        """What is being received; None before the first 12 bytes."""

    def push(self, message: bytes) -> Media:
        """Decode one message.

        Raises:
            AudioTooLarge: it would decode to more than its bound; checked before decoding.
            AudioError: a container that is not supported (the message names what is), or broken.
        """
        message = self._waiting + message
        self._waiting = b""
        if self._stream is None and len(message) < SNIFF_BYTES:
            self._waiting = message
            return Media(_EMPTY)
        found = sniff(message)
        # Every Ogg page begins like an Ogg file; its demultiplexer knows which of them begin a stream.
        if self._stream is None or (found in ("wav", "webm", "ogg") and not found == self.kind == "ogg"):
            self._stream, self.kind = self._open(found), found
        return self._stream.push(message)

    def flush(self) -> Samples:
        """The connection ended: what filters still hold, 16 kHz mono int16. Fewer than 12 bytes in all are dropped."""
        return _EMPTY if self._stream is None else self._stream.flush()

    def _open(self, kind: MediaKind) -> _Stream:
        match kind:
            case "wav":
                return _WavMessages(self._max_samples)
            case "webm":
                return _OpusStream(WebmDemuxer(), self._max_stream_samples)
            case "ogg":
                return _OpusStream(OggDemuxer(), self._max_stream_samples)
            case "raw" if self._raw_rate_hz is not None:
                return _Raw(self._raw_rate_hz, self._max_stream_samples)
            case "raw":
                raise AudioError(f"the audio is of no known format: {SUPPORTED}")
            case _:
                raise AudioError(f"{kind} is not supported: {SUPPORTED}")


class _OpusStream:
    """A demultiplexer and the decoder of the stream it is in."""

    def __init__(self, demuxer: WebmDemuxer | OggDemuxer, max_samples: int) -> None:
        self._demuxer = demuxer
        self._max_samples = max_samples
        self._decoder = OpusDecoder(max_samples=max_samples)

    def push(self, message: bytes) -> Media:
        was_ended = self._demuxer.ended
        items = self._demuxer.push(message)
        self._check_size(items)
        parts: list[Samples] = []
        packets: list[bytes] = []
        for item in items:
            if isinstance(item, bytes):
                packets.append(item)
                continue
            parts += [self._decoder.push(*packets), self._decoder.flush()]
            packets = []
            self._decoder = OpusDecoder(item, max_samples=self._max_samples)
        parts.append(self._decoder.push(*packets))
        ends_now = self._demuxer.ended and not (was_ended and not items)
        if ends_now:
            parts.append(self._decoder.flush())
        return Media(np.concatenate(parts), ends_now)

    def _check_size(self, items: list[OpusHead | bytes]) -> None:
        """Over the whole message: a decoder sees only the packets between two heads."""
        total = sum(packet_samples(item) for item in items if isinstance(item, bytes))
        if total * PIPELINE_RATE_HZ // OPUS_RATE_HZ > self._max_samples:
            raise AudioTooLarge(f"a message holds {total // OPUS_RATE_HZ} s of Opus")

    def flush(self) -> Samples:
        return self._decoder.flush()


class _WavMessages:
    """A whole file in one message; or its header alone, then samples in later messages."""

    def __init__(self, max_samples: int) -> None:
        self._reader = WavReader(max_samples=max_samples)
        self._resampler: Resampler | None = None
        self._max_samples = max_samples

    def push(self, message: bytes) -> Media:
        begun = self._reader.format is not None
        samples = self._reader.push(message)
        form = self._reader.format
        if form is None:
            return Media(_EMPTY)
        if not begun and samples.size:
            # One message is one recording: end of message, end of turn, whatever size the header claims.
            return Media(resample_whole(samples, form.rate_hz, PIPELINE_RATE_HZ), end_of_utterance=True)
        if self._resampler is None:
            self._resampler = Resampler(form.rate_hz, PIPELINE_RATE_HZ)
        converted = self._resampler.push(samples)
        if not (samples.size and self._reader.complete):
            return Media(converted)
        return Media(np.concatenate([converted, self._resampler.flush()]), end_of_utterance=True)

    def flush(self) -> Samples:
        return _EMPTY if self._resampler is None else self._resampler.flush()


class _Raw:
    """int16 little-endian without any header."""

    def __init__(self, rate_hz: int, max_samples: int) -> None:
        self._decoder = open_decoder("pcm16", rate_hz, max_samples=max_samples)

    def push(self, message: bytes) -> Media:
        return Media(self._decoder.push(message))

    def flush(self) -> Samples:
        return self._decoder.flush()
