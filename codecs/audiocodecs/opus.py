"""Single Opus packets (RFC 6716) to 16 kHz mono and back, by :mod:`audiocodecs.libopus`. No container."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from audiocodecs.framing import Framer
from audiocodecs.libopus import RATES_HZ, Decoder, Encoder
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples, frame_samples
from voicegate.kernel.errors import AudioError, AudioTooLarge

OPUS_RATE_HZ: Final = 48_000
"""The clock of Opus: pre-skip and durations count samples at this rate whatever the encoder's rate was."""

ENCODER_RATES_HZ: Final = RATES_HZ

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
        self._skip = head.pre_skip_samples * PIPELINE_RATE_HZ // OPUS_RATE_HZ
        self._decoder = Decoder(PIPELINE_RATE_HZ, gain=head.output_gain)

    def push(self, *packets: bytes) -> Samples:
        """Decode packets in order: int16 16 kHz mono, shape (n,).

        Raises:
            AudioTooLarge: together they would decode to more than ``max_samples``; nothing was decoded.
            AudioError: a packet is not Opus.
        """
        total = sum(map(packet_samples, packets)) * PIPELINE_RATE_HZ // OPUS_RATE_HZ
        if total > self._max_samples:
            raise AudioTooLarge(f"Opus packets hold {total} samples at 16 kHz, allowed are {self._max_samples}")
        parts = [self._trimmed(self._decoder.decode(packet)) for packet in packets]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, np.int16)

    def flush(self) -> Samples:
        """End of stream. Always empty: every packet gives all its audio at once."""
        return np.empty(0, np.int16)

    def _trimmed(self, samples: Samples) -> Samples:
        if not self._skip:
            return samples
        dropped = min(self._skip, samples.size)
        self._skip -= dropped
        return samples[dropped:]


class OpusEncoder:
    """Mono int16 speech at ``rate_hz`` to Opus packets of 20 ms.

    Application VoIP: tuned for speech (RFC 6716 §2.1.1). The encoder looks ahead 6.5 ms
    (:attr:`pre_skip_samples`), but every pushed frame gives its packet at once.

    Args:
        rate_hz: one of :data:`ENCODER_RATES_HZ`.
        bit_rate: bits per second, variable.
        complexity: 0 to 10. 0 at 32 kbit/s is our choice: nearer to the original than 5 at 24 kbit/s, for half of its
            processor time (docs/decisions/0013).

    Raises:
        AudioError: a rate that Opus does not take.
    """

    def __init__(self, rate_hz: int = PIPELINE_RATE_HZ, *, bit_rate: int = 32_000, complexity: int = 0) -> None:
        if rate_hz not in ENCODER_RATES_HZ:
            raise AudioError(f"Opus does not take {rate_hz} Hz; supported: {ENCODER_RATES_HZ}")
        self.rate_hz = rate_hz
        self._framer = Framer(rate_hz)
        self._encoder = Encoder(rate_hz, bit_rate=bit_rate, complexity=complexity)

    @property
    def pre_skip_samples(self) -> int:
        """Samples at 48 kHz that a decoder drops to be aligned with the input."""
        return self._encoder.lookahead_samples * OPUS_RATE_HZ // self.rate_hz

    def push(self, samples: Samples) -> list[bytes]:
        """One packet for every 20 ms completed."""
        return [self._encoder.encode(frame) for frame in self._framer.push(samples)]

    def flush(self) -> list[bytes]:
        """End of stream: the rest padded to a frame, then what the encoder looked ahead. As new afterwards."""
        rest = [*self._framer.flush(), np.zeros(frame_samples(self.rate_hz), np.int16)]
        packets = [self._encoder.encode(frame) for frame in rest]
        self._encoder.reset()
        return packets
