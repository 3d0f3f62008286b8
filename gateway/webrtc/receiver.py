"""The receive side of a call's audio: decrypted RTP in, frames of 16 kHz mono out. PURE.

One source is followed at a time. Another one takes over once the first has been quiet for :data:`GONE_S`, has said
goodbye or was a single packet, and two of its packets in a row have come; nothing is kept of any other, so that a peer
that invents thousands costs nothing. Whatever comes, no method raises: a bad packet costs itself and one count.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from audiocodecs.libopus import Decoder, has_fec
from audiocodecs.opus import packet_samples
from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.jitter import CLOCK_HZ, Due, JitterBuffer, Missing, Silence
from gateway.webrtc.reception import Reception
from gateway.webrtc.rtcp import Goodbye, ReportBlock, SenderReport, parse_rtcp
from gateway.webrtc.rtp import MalformedPacket, RtpPacket, parse_rtp
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Frame, Samples, frame_samples
from voicegate.kernel.errors import AudioError

GONE_S: Final = 0.2
"""A source that was quiet so long may be replaced."""

_FRAME: Final = frame_samples(PIPELINE_RATE_HZ)
_TICKS: Final = CLOCK_HZ // PIPELINE_RATE_HZ
_STEP: Final = PIPELINE_RATE_HZ // 400
_CONCEALED_SAMPLES: Final = PIPELINE_RATE_HZ * 120 // 1000
"""Concealment has faded out by then; what is left of a longer gap is silence."""
_SILENT_FRAME: Final[Frame] = np.zeros(_FRAME, np.int16)
_SILENT_FRAME.flags.writeable = False
_SMOOTHING: Final = 1 / 64


class AudioReceiver:
    """One call's incoming audio. Not shared between calls; time may be any clock that goes forward."""

    def __init__(self, payload_type: int, *, now_s: float = 0.0) -> None:
        self.counts = ReceiverCounts()
        self.last_heard_s: float | None = None
        """When the last well-formed packet of the followed source came."""
        self._payload_type = payload_type
        self._buffer = JitterBuffer(self.counts, now_s)
        self._decoder = Decoder()
        self._reception: Reception | None = None
        self._candidate: tuple[int, int] | None = None
        self._known = False
        """More than one packet of the followed source has come."""
        self._left = False
        self._rest: Samples | None = None
        self._held_s = 0.0

    @property
    def delay_ms(self) -> float:
        """How long packets lately waited here for others, smoothed over 64."""
        return self._held_s * 1000

    @property
    def jitter_ms(self) -> float:
        """RFC 3550 A.8, of the network."""
        return self._reception.jitter_ms if self._reception else 0.0

    def receive(self, packet: bytes, now_s: float) -> None:
        """One decrypted RTP packet came at ``now_s``."""
        try:
            parsed = parse_rtp(packet)
            audio = parsed.payload_type == self._payload_type and parsed.payload != b""
            ticks = packet_samples(parsed.payload) if audio else 0
        except (MalformedPacket, AudioError):
            self.counts.malformed += 1
            return
        if not self._follows(parsed, now_s):
            self.counts.strangers += 1
            return
        self.last_heard_s = now_s
        if audio:
            self.counts.received += 1
        else:
            self.counts.ignored += 1
        self._buffer.put(parsed.sequence, parsed.timestamp, ticks, parsed.payload, now_s)

    def take(self, now_s: float) -> Sequence[Frame]:
        """The frames that are due at ``now_s``: 16 kHz mono int16, 20 ms each, not to be written to; mostly one, none
        before the stream begins, several after a stall. Call it at each tick and after packets came."""
        frames: list[Frame] = []
        for due in self._buffer.take(now_s):
            samples = self._samples(due, now_s)
            if samples.size == _FRAME and self._rest is None:
                frames.append(samples)
            else:
                self._cut(samples, frames)
        return frames

    def rtcp(self, packet: bytes, now_s: float) -> Sequence[ReportBlock]:
        """One decrypted RTCP packet came. Returns its reports, which :meth:`.sender.AudioSender.received` takes."""
        try:
            parts = parse_rtcp(packet)
        except MalformedPacket:
            self.counts.malformed += 1
            return ()
        reports: list[ReportBlock] = []
        for part in parts:
            if isinstance(part, Goodbye):
                self._left = self._left or (self._reception is not None and self._reception.ssrc in part.ssrcs)
                continue
            reports.extend(part.blocks)
            if isinstance(part, SenderReport):
                self._reported(part, now_s)
        return reports

    def report(self, now_s: float) -> ReportBlock | None:
        """What to report of the followed source since the last time; None before there is one."""
        return self._reception.block(now_s) if self._reception else None

    def _reported(self, report: SenderReport, now_s: float) -> None:
        if self._reception is not None and self._reception.ssrc == report.ssrc:
            self._reception.sender_report(report.ntp, now_s)

    def _follows(self, packet: RtpPacket, now_s: float) -> bool:
        """The packet is of the source that is followed, from now on if need be."""
        reception = self._reception
        if reception is None:
            reception = self._reception = Reception(packet.ssrc, packet.sequence)
        elif packet.ssrc != reception.ssrc:
            if not self._changes_to(packet, now_s):
                return False
            self._buffer.restart()
            self._left = self._known = False
            reception = self._reception = Reception(packet.ssrc, packet.sequence)
        else:
            self._known = True
        reception.received(packet.sequence, packet.timestamp, now_s)
        return True

    def _changes_to(self, packet: RtpPacket, now_s: float) -> bool:
        expected, self._candidate = self._candidate, (packet.ssrc, packet.sequence + 1 & 0xFFFF)
        if expected != (packet.ssrc, packet.sequence):
            return False
        return self._left or not self._known or now_s - (self.last_heard_s or 0.0) >= GONE_S

    def _samples(self, due: Due, now_s: float) -> Samples:
        if isinstance(due, Missing):
            return self._conceal(due)
        samples = due.ticks // _TICKS
        if isinstance(due, Silence):
            return _SILENT_FRAME if samples == _FRAME else np.zeros(samples, np.int16)
        self._held_s += (now_s - due.arrived_s - self._held_s) * _SMOOTHING
        try:
            return self._decoder.decode(due.payload)
        except AudioError:
            self.counts.malformed += 1
            return self._decoder.conceal(samples)

    def _conceal(self, missing: Missing) -> Samples:
        """The lost audio: the second copy of its end where there is one, before that concealment, then silence."""
        total = missing.ticks // _TICKS // _STEP * _STEP
        copied = min(total, packet_samples(missing.following) // _TICKS) if has_fec(missing.following) else 0
        concealed = min(total - copied, _CONCEALED_SAMPLES)
        self.counts.concealed_ms += (total - copied) * 1000 // PIPELINE_RATE_HZ
        parts = [np.zeros(total - copied - concealed, np.int16)]
        if concealed:
            parts.insert(0, self._decoder.conceal(concealed))
        if copied:
            self.counts.recovered += 1
            parts.append(self._decoder.decode_fec(missing.following, copied))
        return np.concatenate(parts)

    def _cut(self, samples: Samples, frames: list[Frame]) -> None:
        """Samples of any number to whole frames; what is left waits."""
        if self._rest is not None:
            samples = np.concatenate([self._rest, samples])
        whole = samples.size // _FRAME
        frames.extend(samples[: whole * _FRAME].reshape(whole, _FRAME))
        self._rest = samples[whole * _FRAME :] if samples.size % _FRAME else None
