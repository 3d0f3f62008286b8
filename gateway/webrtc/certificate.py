"""The certificate of this process for DTLS: made once, renewed daily, shared by all calls.

WebRTC pins certificates by the fingerprint in SDP (RFC 8827 section 6.5), so a self-signed one is what is wanted. One
for all calls saves a key generation and an OpenSSL context a call; a new one every day keeps it from becoming a name.
"""

from dataclasses import dataclass
from typing import Final

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from gateway.webrtc.offer import Fingerprint
from voicegate.kernel.clock import Clock

RENEW_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate and the OpenSSL context that presents it."""

    fingerprint: Fingerprint
    context: SSL.Context
    made_s: float


class Certificates:
    """One a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: Credentials | None = None

    def newest(self) -> Credentials:
        """The certificate for a new call. Calls keep the one they began with."""
        now = self._clock.monotonic()
        if self._newest is None or now - self._newest.made_s >= RENEW_S:
            self._newest = _make(now)
        return self._newest


def _make(now: float) -> Credentials:
    certificate = RTCCertificate.generateCertificate()
    (digest,) = (each.value for each in certificate.getFingerprints() if each.algorithm == "sha-256")
    context = certificate._create_ssl_context(SRTP_PROFILES)
    return Credentials(Fingerprint("sha-256", digest), context, now)
