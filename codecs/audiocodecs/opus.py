"""Single Opus packets (RFC 6716) to 16 kHz mono and back, by libopus through PyAV's codec contexts. No container.

libopus rather than FFmpeg's own Opus decoder: it is the reference, its output is int16 already, and it mixes stereo
down while decoding. Both decode at 48 kHz; FFmpeg offers no other output rate.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from audiocodecs.framing import Framer
from audiocodecs.resample import Resampler
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

OPUS_RATE_HZ: Final = 48_000
"""The clock of Opus: pre-skip and durations count samples at this rate whatever the encoder's rate was."""

ENCODER_RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)

MAX_PACKET_SAMPLES: Final = 5_760
"""120 ms at 48 kHz, the longest packet (RFC 6716 §3.2.5)."""

MAX_SAMPLES: Final = 120 * PIPELINE_RATE_HZ
"""Default bound of what one call may decode to: two minutes. Our choice, because a megabyte of one-byte packets is
hours of silence."""

_SILK_MS: Final = (10, 20, 40, 60)
_HYBRID_MS: Final = (10, 20)
_CELT_TENTH_MS: Final = (25, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class OpusHead:
    """The identification header (RFC 7845 §5.1): what a decoder must know besides the packets."""

    channels: int = 1
    """1 or 2."""
    pre_skip_samples: int = 0
    """Samples at 48 kHz to drop from the start of the decoder's output."""
    output_gain: int = 0
    """To be applied when decoding, in 1/256 dB, signed (Q7.8)."""


def parse_opus_head(data: bytes) -> OpusHead:
    """Read an ``OpusHead``, as Ogg's first packet and as WebM's CodecPrivate.

    Raises:
        AudioError: not an OpusHead, an unknown major version, or more than one Opus stream (surround sound).
    """
    if len(data) < 19 or not data.startswith(b"OpusHead"):
        raise AudioError("not an OpusHead")
    version, channels, family = data[8], data[9], data[18]
    if version >= 16:
        raise AudioError(f"OpusHead version {version} is not supported")
    if channels not in (1, 2) or family > 1:
        raise AudioError(f"Opus with {channels} channels in mapping family {family} is not supported: mono or stereo")
    if family == 1 and (len(data) < 21 + channels or data[19] != 1):
        raise AudioError("an OpusHead of mapping family 1 must name one stream")
    pre_skip = int.from_bytes(data[10:12], "little")
    return OpusHead(channels, pre_skip, int.from_bytes(data[16:18], "little", signed=True))


def packet_samples(packet: bytes) -> int:
    """Length of a packet in samples at 48 kHz, read from its first two bytes (RFC 6716 §3.1, §3.2).

    Raises:
        AudioError: empty, a packet of code 3 without its count, no frames, or more than 120 ms.
    """
    if not packet:
        raise AudioError("an Opus packet is empty")
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = _SILK_MS[config & 3] * OPUS_RATE_HZ // 1000
    elif config < 16:
        frame = _HYBRID_MS[config & 1] * OPUS_RATE_HZ // 1000
    else:
        frame = _CELT_TENTH_MS[config & 3] * OPUS_RATE_HZ // 10_000
    if code < 3:
        return frame * (1 if code == 0 else 2)
    if len(packet) < 2:
        raise AudioError("an Opus packet of code 3 lacks its frame count")
    count = packet[1] & 0x3F
    if not 0 < frame * count <= MAX_PACKET_SAMPLES:
        raise AudioError(f"an Opus packet claims {count} frames of {frame} samples")
    return frame * count


class OpusDecoder:
    """Packets of one Opus stream to 16 kHz mono int16.

    ``head`` gives pre-skip and gain; RTP and bare packets have none (RFC 7587). ``max_samples`` bounds what one call
    of :meth:`push` may return and is checked before anything is decoded. A packet that is refused leaves the decoder
    usable, so the caller decides whether one broken packet ends the call.
    """

    def __init__(self, head: OpusHead | None = None, *, max_samples: int = MAX_SAMPLES) -> None:
        head = head or OpusHead()
        self._max_samples = max_samples
        self._skip = head.pre_skip_samples
        self._resampler = Resampler(OPUS_RATE_HZ, PIPELINE_RATE_HZ)
        self._context = _context("r", OPUS_RATE_HZ)
        # One channel, so that libopus mixes stereo down itself; no pre-skip, because FFmpeg would drop it by
        # timestamps that bare packets do not have.
        fields = bytes([1, 1]) + bytes(2) + OPUS_RATE_HZ.to_bytes(4, "little")
        self._context.extradata = b"OpusHead" + fields + head.output_gain.to_bytes(2, "little", signed=True) + b"\0"

    def push(self, *packets: bytes) -> Samples:
        """Decode packets in order: int16 16 kHz mono, shape (n,).

        Raises:
            AudioTooLarge: together they would decode to more than ``max_samples``; nothing was decoded.
            AudioError: a packet is not Opus.
        """
        total = sum(map(packet_samples, packets)) * PIPELINE_RATE_HZ // OPUS_RATE_HZ
        if total > self._max_samples:
            raise AudioTooLarge(f"Opus packets hold {total} samples at 16 kHz, allowed are {self._max_samples}")
        parts = [self._resampler.push(part) for packet in packets for part in self._decode(packet)]
        return np.concatenate(parts) if parts else np.empty(0, np.int16)

    def flush(self) -> Samples:
        """End of stream: the resampler's tail."""
        return self._resampler.flush()

    def _decode(self, packet: bytes) -> list[Samples]:
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.error.FFmpegError as error:
            raise AudioError(f"libopus refuses a packet of {len(packet)} bytes: {error.strerror}") from error
        return [self._trimmed(cast("Samples", frame.to_ndarray()).reshape(-1)) for frame in frames]

    def _trimmed(self, samples: Samples) -> Samples:
        dropped = min(self._skip, samples.size)
        self._skip -= dropped
        return samples[dropped:]


class OpusEncoder:
    """Mono int16 speech at ``rate_hz`` to Opus packets of 20 ms.

    Application VoIP: tuned for speech (RFC 6716 §2.1.1). The encoder looks ahead 6.5 ms
    (:attr:`pre_skip_samples`), but every pushed frame gives its packet at once.

    Args:
        rate_hz: one of :data:`ENCODER_RATES_HZ`.
        bit_rate: bits per second, variable; 24 kbit/s is transparent for wideband speech.
        complexity: 0 to 10. 5 is our choice: measured on speech at 16 kHz it costs 134 µs a frame against 160 µs at
            10 and 68 µs at 0.

    Raises:
        AudioError: a rate that Opus does not take.
    """

    def __init__(self, rate_hz: int = PIPELINE_RATE_HZ, *, bit_rate: int = 24_000, complexity: int = 5) -> None:
        if rate_hz not in ENCODER_RATES_HZ:
            raise AudioError(f"Opus does not take {rate_hz} Hz; supported: {ENCODER_RATES_HZ}")
        self.rate_hz = rate_hz
        self._options = {"application": "voip", "frame_duration": "20", "compression_level": str(complexity)}
        self._bit_rate = bit_rate
        self._framer = Framer(rate_hz)
        self._context = self._open()

    @property
    def pre_skip_samples(self) -> int:
        """Samples at 48 kHz that a decoder drops to be aligned with the input."""
        return parse_opus_head(self._context.extradata or b"").pre_skip_samples

    def push(self, samples: Samples) -> list[bytes]:
        """One packet for every 20 ms completed."""
        return [packet for frame in self._framer.push(samples) for packet in self._encode(frame)]

    def flush(self) -> list[bytes]:
        """End of stream: the rest padded to a frame, then what the encoder looked ahead. As new afterwards."""
        packets = [packet for frame in self._framer.flush() for packet in self._encode(frame)]
        packets += [bytes(packet) for packet in self._context.encode(None)]
        self._context = self._open()
        return packets

    def _open(self) -> AudioCodecContext:
        context = _context("w", self.rate_hz)
        context.format = "s16"
        context.bit_rate = self._bit_rate
        context.time_base = Fraction(1, self.rate_hz)
        context.options = self._options
        context.open()
        return context

    def _encode(self, frame: Samples) -> list[bytes]:
        audio = av.AudioFrame.from_ndarray(np.ascontiguousarray(frame)[None, :], format="s16", layout="mono")
        audio.sample_rate = self.rate_hz
        return [bytes(packet) for packet in self._context.encode(audio)]


def _context(mode: Literal["r", "w"], rate_hz: int) -> AudioCodecContext:
    context = av.CodecContext.create("libopus", mode)
    context.sample_rate = rate_hz
    context.layout = "mono"
    return context
