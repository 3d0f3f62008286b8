"""The send side of a call's audio: frames in, plain RTP packets out, one each 20 ms. PURE.

The stream's time is the clock's. A tick that comes early, because a reply began, puts the stream ahead, and a stall of
this process puts it behind; a browser would keep the difference as delay or take it for jitter. So silence, where
nobody hears it, gives a packet less, or a gap in the timestamps.

Silence is sent too. A browser's jitter buffer plans with what arrives: packets at a steady pace keep its delay small
and its statistics free of "concealed" audio, and recorders that know nothing of discontinuous transmission get the
right length. It need not be encoded, though: after :data:`HANGOVER` frames of encoded silence, by which the decoder
has settled (RFC 6716 §4.2.7 predicts from earlier frames) and the last words have their second copy, one packet of
silence made in advance is sent again and again. Seven bytes, and no encoder at work.
"""

from functools import cache
from typing import Final

import numpy as np

from audiocodecs.libopus import Encoder
from gateway.webrtc.rtcp import ReportBlock, SenderReport, build_cname, build_sender_report, ntp_middle, ntp_time
from gateway.webrtc.rtp import build_rtp
from voicegate.kernel.audio import Frame, frame_samples

CLOCK_HZ: Final = 48_000
PACKET_TICKS: Final = CLOCK_HZ // 50

HANGOVER: Final = 10
"""Frames of silence encoded after speech: 200 ms."""

COMPLEXITY: Final = 0
BIT_RATE: Final = 32_000
"""Bits are cheaper here than processor time. Mean log-spectral distance of decoded speech from the original at 16 kHz,
and cost of a frame: complexity 10 at 24 kbit/s 5.1 dB and 158 µs, 5 at 24 kbit/s 5.2 dB and 117 µs, 0 at 32 kbit/s
4.5 dB and 42 µs. Without the model of the voice, 0 at 32 kbit/s 4.7 dB and 39 µs where with it there are 5.0 dB and
50 µs (another run): so it is used only for second copies, which need it."""
PROTECTED_BIT_RATE: Final = 40_000
"""With second copies, so that they do not come out of the first one's quality. Below that, libopus at this complexity
leaves them out at some rates of loss."""
PROTECT_FROM: Final = 0.01
"""Share of packets lost from which on a second copy is sent."""

_MOST_AHEAD: Final = 3 * PACKET_TICKS // 4
_MOST_BEHIND: Final = 2 * PACKET_TICKS
"""Of the stream's time against the clock's: ticks come at any of four phases, and late now and then."""

_FADE: Final = 1 / 4
"""Of a frame: a reply that is cut off must not end in a click."""


class AudioSender:
    """One call's outgoing audio. Not shared between calls.

    Args:
        ssrc: 32 bits, random (RFC 3550 §8.1).
        cname: names the endpoint in reports (RFC 3550 §6.5.1; random: RFC 7022).
        rate_hz: of the frames.
        sequence, timestamp: where to begin; random (RFC 3550 §5.1).
        complexity: of the encoder, see :class:`audiocodecs.libopus.Encoder`.
    """

    def __init__(
        self,
        ssrc: int,
        payload_type: int,
        cname: str,
        *,
        rate_hz: int,
        sequence: int = 0,
        timestamp: int = 0,
        complexity: int = COMPLEXITY,
    ) -> None:
        self.ssrc = ssrc
        self.rate_hz = rate_hz
        self.packets = 0
        self.octets = 0
        """Of payload (RFC 3550 §6.4.1)."""
        self.round_trip_s: float | None = None
        self.loss = 0.0
        """Share of our packets that the peer misses, smoothed."""
        self._payload_type = payload_type
        self._cname = build_cname(ssrc, cname)
        self._encoder = Encoder(rate_hz, bit_rate=BIT_RATE, complexity=complexity, fec=True)
        self._encoder.model_voice(False)
        self._silence = silent_packet(rate_hz)
        self._silent_frame: Frame = np.zeros(frame_samples(rate_hz), np.int16)
        self._sequence = sequence & 0xFFFF
        self._timestamp = timestamp & 0xFFFF_FFFF
        self._quiet = HANGOVER
        self._began_s: float | None = None
        self._sent = 0
        """Ticks since then."""
        self._last = 0
        self._protected = False

    def send(self, frame: Frame | None, now_s: float) -> bytes | None:
        """The packet of this tick: ``frame`` (20 ms at ``rate_hz``), or silence; None where the stream is ahead of
        the clock. Call it every 20 ms, or a little earlier.

        Raises:
            AudioError: not a frame at ``rate_hz``.
        """
        marker = frame is not None and self._quiet > 0
        if (frame is None or marker) and not self._in_time(now_s, silent=frame is None):
            return None
        if frame is not None:
            self._quiet = 0
            self._last = int(frame[-1])
            payload = self._encoder.encode(frame)
        elif self._quiet < HANGOVER:
            payload = self._encoder.encode(self._ending() if self._quiet == 0 else self._silent_frame)
            self._quiet += 1
        else:
            payload = self._silence
        packet = build_rtp(self._payload_type, self._sequence, self._timestamp, self.ssrc, payload, marker=marker)
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + PACKET_TICKS & 0xFFFF_FFFF
        self._sent += PACKET_TICKS
        self.packets += 1
        self.octets += len(payload)
        return packet

    def sender_report(self, now_s: float, blocks: tuple[ReportBlock, ...] = ()) -> bytes:
        """A compound packet: our sender report, with what the receiver reports, and our name."""
        report = SenderReport(self.ssrc, ntp_time(now_s), self._timestamp, self.packets, self.octets, blocks)
        return build_sender_report(report) + self._cname

    def received(self, block: ReportBlock, now_s: float) -> None:
        """The peer's report about us: follow its loss up at once and down slowly, measure the round trip."""
        if block.ssrc != self.ssrc:
            return
        lost = block.fraction_lost / 256
        self.loss = lost if lost > self.loss else self.loss + (lost - self.loss) / 8
        if block.last_report:
            trip = ntp_middle(ntp_time(now_s)) - block.last_report - block.since_last_report & 0xFFFF_FFFF
            if trip < 60 << 16:  # else the peer's arithmetic, or a clock that was set
                self.round_trip_s = trip / 65_536
        self._protect()

    def _in_time(self, now_s: float, *, silent: bool) -> bool:
        """Whether this packet of silence, or the first after it, is to be sent; one that is far behind leaves a gap."""
        if self._began_s is None:
            self._began_s = now_s
        ahead = self._sent - (now_s - self._began_s) * CLOCK_HZ
        if ahead < -_MOST_BEHIND:
            gap = int(-ahead / PACKET_TICKS) * PACKET_TICKS
            self._sent += gap
            self._timestamp = self._timestamp + gap & 0xFFFF_FFFF
        return not silent or ahead < _MOST_AHEAD

    def _protect(self) -> None:
        """Tell the encoder what to expect; a second copy needs bits of its own."""
        protected = self.loss >= PROTECT_FROM
        self._encoder.expect_loss(min(30, round(self.loss * 100)) if protected else 0)
        if protected is not self._protected:
            self._protected = protected
            self._encoder.model_voice(protected)
            self._encoder.set_bit_rate(PROTECTED_BIT_RATE if protected else BIT_RATE)

    def _ending(self) -> Frame:
        """From the last sample to nothing within 5 ms."""
        frame = self._silent_frame.copy()
        fade = int(frame.size * _FADE)
        frame[:fade] = np.linspace(self._last, 0, fade, dtype=np.int16)
        return frame


@cache
def silent_packet(rate_hz: int) -> bytes:
    """20 ms of silence as an encoder at rest makes it at ``rate_hz``; needs no other packet before it."""
    encoder = Encoder(rate_hz, bit_rate=BIT_RATE, complexity=COMPLEXITY)
    encoder.model_voice(False)
    silence = np.zeros(frame_samples(rate_hz), np.int16)
    return [encoder.encode(silence) for _ in range(2 * HANGOVER)][-1]
