"""One caller's media connection: ICE, DTLS, SRTP, in front of the audio. A thin driver; it knows nothing of the call.

Every datagram takes one path, :meth:`Peer.deliver`: sorted by ICE's socket, let through only from a validated address,
decrypted, handed on. Whatever does not decrypt or parse costs one counter. There is no task, timer or thread here for
packets; time comes by :meth:`Peer.tick`.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final, Protocol

from pylibsrtp import Error as SrtpError

from gateway.webrtc.answer import LocalSide, our_role, write_answer
from gateway.webrtc.candidates import CandidatePolicy, RemoteCandidate
from gateway.webrtc.certificate import Credentials
from gateway.webrtc.demux import Kind
from gateway.webrtc.dtls import Dtls, DtlsState
from gateway.webrtc.ice import Ice
from gateway.webrtc.offer import Offer
from voicegate.kernel.telemetry import Counter, Telemetry

MAX_SSRCS: Final = 8
"""Sources of one peer that are listened to; SRTP keeps a state for each."""
_SHUT_S: Final = 1.0


class Media(Protocol):
    """Who gets what was decrypted."""

    def rtp(self, packet: bytes) -> None: ...

    def rtcp(self, packet: bytes) -> None: ...

    def data(self, packet: bytes) -> None:
        """One SCTP packet."""
        ...


@dataclass(frozen=True, slots=True)
class PeerCounters:
    """Bound once a process."""

    dropped: Counter
    """Datagrams of strangers, and what is nothing at all."""
    undecrypted: Counter
    refused: Counter
    """Authenticated, and still not taken: too many sources, impossible SCTP."""


def peer_counters(telemetry: Telemetry) -> PeerCounters:
    def dropped(reason: str) -> Counter:
        return telemetry.counter("voicegate_webrtc_dropped_datagrams_total", "Datagrams not taken", reason=reason)

    return PeerCounters(dropped("stranger"), dropped("undecrypted"), dropped("refused"))


class Peer:
    """From :meth:`listen` to :meth:`close`."""

    def __init__(
        self, offer: Offer, credentials: Credentials, policy: CandidatePolicy, media: Media, counters: PeerCounters
    ) -> None:
        self.offer = offer
        self.ssrc = secrets.randbelow((1 << 32) - 1) + 1
        self.cname = secrets.token_urlsafe(12)
        self._media = media
        self._counters = counters
        self._fingerprint = credentials.fingerprint
        self._ice = Ice(policy, self.deliver, counters.dropped)
        self._dtls = Dtls(credentials, our_role(offer), offer.fingerprints)
        self._handshake = asyncio.Event()
        self._decrypted = 0
        self._ssrcs: set[bytes] = set()

    @property
    def heard(self) -> int:
        """Rises with every sign of life that only the real peer can give."""
        return self._decrypted + self._ice.heard

    @property
    def said_goodbye(self) -> bool:
        return self._dtls.state is DtlsState.CLOSED

    async def listen(self, addresses: tuple[str, ...], ports: tuple[int, ...], public_address: str) -> str:
        """Open the sockets; returns the answer.

        Raises:
            OSError: none could be opened.
        """
        await self._ice.listen(addresses, ports)
        local = LocalSide(
            self._ice.login,
            self._fingerprint,
            self._ice.candidates(public_address),
            self.ssrc,
            self.cname,
            secrets.randbits(62),
        )
        return write_answer(self.offer, local)

    async def add(self, candidates: tuple[RemoteCandidate, ...]) -> None:
        """More candidates of the peer; those that must not be checked are left out."""
        for candidate in candidates:
            await self._ice.add(candidate)

    async def connect(self) -> None:
        """Return when media can flow. Who calls this bounds the time.

        Raises:
            ConnectionError: it cannot.
        """
        await self.add(self.offer.candidates)
        await self._ice.open(self.offer.login, lite=self.offer.ice_lite)
        self._send_all(self._dtls.start() if our_role(self.offer) == "active" else [])
        await self._handshake.wait()
        if self._dtls.state is not DtlsState.CONNECTED:
            raise ConnectionError(self._dtls.why or "the peer closed the connection")

    def tick(self) -> None:
        """20 ms passed."""
        if not self._handshake.is_set():
            self._send_all(self._dtls.tick())
            self._look()

    def ask(self) -> None:
        """Ask for a sign of life."""
        self._ice.ask()

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send one RTP packet."""
        if self._dtls.outbound is not None:
            self._ice.send(self._dtls.outbound.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        if self._dtls.outbound is not None:
            self._ice.send(self._dtls.outbound.protect_rtcp(packet))

    def send_data(self, packet: bytes) -> None:
        """Encrypt and send one SCTP packet."""
        self._send_all(self._dtls.send(packet))

    async def close(self) -> None:
        """Say goodbye and close the sockets; returns after a second at the latest."""
        self._send_all(self._dtls.close())
        await self._ice.shut(_SHUT_S)
        self._ice.forget()

    def deliver(self, kind: Kind, datagram: bytes) -> None:
        """One datagram from a validated address."""
        match kind:
            case Kind.RTP:
                self._rtp(datagram)
            case Kind.RTCP:
                self._rtcp(datagram)
            case Kind.DTLS:
                self._secure(datagram)

    def _rtp(self, datagram: bytes) -> None:
        inbound = self._dtls.inbound
        source = datagram[8:12]
        if inbound is None or (source not in self._ssrcs and len(self._ssrcs) >= MAX_SSRCS):
            return self._counters.refused.inc()
        try:
            packet = inbound.unprotect(datagram)
        except (SrtpError, ValueError):
            return self._counters.undecrypted.inc()
        self._ssrcs.add(source)
        self._decrypted += 1
        return self._media.rtp(packet)

    def _rtcp(self, datagram: bytes) -> None:
        inbound = self._dtls.inbound
        if inbound is None:
            return self._counters.refused.inc()
        try:
            packet = inbound.unprotect_rtcp(datagram)
        except (SrtpError, ValueError):
            return self._counters.undecrypted.inc()
        self._decrypted += 1
        return self._media.rtcp(packet)

    def _secure(self, datagram: bytes) -> None:
        packets, answers = self._dtls.receive(datagram)
        self._send_all(answers)
        for packet in packets:
            self._decrypted += 1
            self._media.data(packet)
        self._look()

    def _look(self) -> None:
        if self._dtls.state is not DtlsState.HANDSHAKE:
            self._handshake.set()

    def _send_all(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self._ice.send(datagram)
