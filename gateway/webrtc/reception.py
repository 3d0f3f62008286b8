"""What a receiver reports of one source: losses, jitter, round trips (RFC 3550 §6.4.1, A.1, A.3, A.8). PURE."""

from typing import Final

from gateway.webrtc.rtcp import ReportBlock, ntp_middle

_CLOCK_HZ: Final = 48_000
_MAX_STEP: Final = 3_000


class Reception:
    """One source as it arrives."""

    __slots__ = (
        "_base",
        "_expected_before",
        "_highest",
        "_jitter",
        "_received",
        "_received_before",
        "_reported_at",
        "_sender_ntp",
        "_transit",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self._base = self._highest = sequence
        """32 bits: wraps and sequence number."""
        self._received = self._received_before = self._expected_before = 0
        self._transit: float | None = None
        self._jitter = 0.0
        self._sender_ntp = 0
        self._reported_at = 0.0

    def received(self, sequence: int, timestamp: int, now_s: float) -> None:
        """A packet came. Jitter is smoothed over 16 packets (A.8); a change of the timestamps' base leaves it alone."""
        step = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if step > _MAX_STEP or step < -_MAX_STEP:
            self._begin_anew(sequence)
        elif step > 0:
            self._highest += step
        self._received += 1
        transit = now_s * _CLOCK_HZ - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < _CLOCK_HZ:
                self._jitter += (change - self._jitter) / 16
        self._transit = transit

    def sender_report(self, ntp: int, now_s: float) -> None:
        """The source's sender report came at ``now_s``."""
        self._sender_ntp = ntp_middle(ntp)
        self._reported_at = now_s

    @property
    def jitter_ms(self) -> float:
        return self._jitter * 1000 / _CLOCK_HZ

    def block(self, now_s: float) -> ReportBlock:
        """The report since the one before."""
        expected = self._highest - self._base + 1
        interval = expected - self._expected_before
        missing = interval - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        fraction = min(255, (missing << 8) // interval) if interval > 0 and missing > 0 else 0
        since = int((now_s - self._reported_at) * 65_536) if self._sender_ntp else 0
        return ReportBlock(
            self.ssrc,
            fraction,
            expected - self._received,
            self._highest & 0xFFFF_FFFF,
            int(self._jitter) & 0xFFFF_FFFF,
            self._sender_ntp,
            max(0, min(since, 0xFFFF_FFFF)),
        )

    def _begin_anew(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._received = self._received_before = self._expected_before = 0
