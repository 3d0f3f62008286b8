"""DTLS (RFC 9147, RFC 5764) as a state machine on OpenSSL without I/O: datagrams in, datagrams out.

aiortc's own transport reads its datagrams from the network and ends with the first that it cannot read. Here whoever
owns the socket decides what comes in, and after the handshake nothing that fails to decrypt has any effect.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, Literal

from aiortc.rtcdtlstransport import SRTP_PROFILES, certificate_digest
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from gateway.webrtc.certificate import Credentials
from gateway.webrtc.offer import Fingerprint

_DATAGRAM_BYTES: Final = 1_200
"""Longest datagram we send (RFC 8831 section 5 asks for less than the smallest path of IPv6)."""
_RECORD_HEADER: Final = 13
_ALERT: Final = 21
_READ_BYTES: Final = 65_536
_REPLAY_WINDOW: Final = 1_024


class DtlsState(Enum):
    HANDSHAKE = auto()
    CONNECTED = auto()
    CLOSED = auto()
    """The peer said goodbye."""
    FAILED = auto()


class Dtls:
    """One side of one association. Methods never raise for what the peer sends."""

    def __init__(
        self, credentials: Credentials, role: Literal["active", "passive"], peers: Sequence[Fingerprint]
    ) -> None:
        """``peers``: fingerprints of the offer; the peer's certificate must match all of them."""
        self.state = DtlsState.HANDSHAKE
        self.why = ""
        """What failed, for the log."""
        self.inbound: Session | None = None
        self.outbound: Session | None = None
        """SRTP of both directions, once connected."""
        self._role = role
        self._peers = peers
        self._ssl = SSL.Connection(credentials.context)
        self._ssl.set_ciphertext_mtu(_DATAGRAM_BYTES)
        if role == "active":
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()

    def start(self) -> list[bytes]:
        """The first flight of the active side."""
        self._shake()
        return self._outgoing()

    def receive(self, datagram: bytes) -> tuple[list[bytes], list[bytes]]:
        """Take a datagram; returns application data that it held, and datagrams to send."""
        if self.state is DtlsState.HANDSHAKE:
            if datagram[0] == _ALERT:
                # Nothing protects an alert before the keys are there: anybody who can send from the peer's address
                # could end the handshake by one. A peer that really gave up stays silent, and that is noticed.
                return [], []
            self._ssl.bio_write(datagram)
            self._shake()
        elif self.state is DtlsState.CONNECTED:
            self._ssl.bio_write(datagram)
        return self._read(), self._outgoing()

    def send(self, data: bytes) -> list[bytes]:
        """Application data to datagrams; none unless connected."""
        if self.state is not DtlsState.CONNECTED:
            return []
        try:
            self._ssl.send(data)
        except SSL.Error:
            return []
        return self._outgoing()

    def tick(self) -> list[bytes]:
        """Time passed: what has to be sent again. Call it every 20 ms or so during the handshake."""
        if self.state is not DtlsState.HANDSHAKE:
            return []
        wait_s = self._ssl.DTLSv1_get_timeout()
        if wait_s is None or wait_s > 0:
            return []
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error:
            self._fail("no answer")
        return self._outgoing()

    def close(self) -> list[bytes]:
        """Say goodbye."""
        if self.state is not DtlsState.CONNECTED:
            return []
        self.state = DtlsState.CLOSED
        try:
            self._ssl.shutdown()
        except SSL.Error:
            return []
        return self._outgoing()

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self._fail(f"the handshake failed: {error}")
        else:
            if self._peer_is_meant():
                self._derive_srtp()
            else:
                self._fail("the certificate is not that of the offer")

    def _peer_is_meant(self) -> bool:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        return certificate is not None and all(
            certificate_digest(certificate, peer.algorithm) == peer.digest for peer in self._peers
        )

    def _derive_srtp(self) -> None:
        """RFC 5764 section 4.2."""
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next((each for each in SRTP_PROFILES if each.openssl_profile == chosen), None)
        if profile is None:
            self._fail("no SRTP profile in common")
            return
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        ours = 0 if self._role == "active" else 1
        for index, kind in ((ours, Policy.SSRC_ANY_OUTBOUND), (1 - ours, Policy.SSRC_ANY_INBOUND)):
            policy = Policy(
                key=profile.get_key_and_salt(material, index), ssrc_type=kind, srtp_profile=profile.libsrtp_profile
            )
            policy.window_size = _REPLAY_WINDOW
            if index == ours:
                self.outbound = Session(policy)
            else:
                self.inbound = Session(policy)
        self.state = DtlsState.CONNECTED

    def _read(self) -> list[bytes]:
        found: list[bytes] = []
        while self.state is DtlsState.CONNECTED:
            try:
                found.append(self._ssl.recv(_READ_BYTES))
            except SSL.ZeroReturnError:
                self.state = DtlsState.CLOSED
            except SSL.Error:  # nothing more to read, or nothing that can be read
                break
        return found

    def _outgoing(self) -> list[bytes]:
        """OpenSSL's records, packed into datagrams again: its memory knows no borders."""
        pending = b""
        while True:
            try:
                pending += self._ssl.bio_read(_READ_BYTES)
            except SSL.Error:
                break
        datagrams: list[bytes] = []
        for record in _records(pending):
            if datagrams and len(datagrams[-1]) + len(record) <= _DATAGRAM_BYTES:
                datagrams[-1] += record
            else:
                datagrams.append(record)
        return datagrams

    def _fail(self, why: str) -> None:
        self.state = DtlsState.FAILED
        self.why = why


def _records(data: bytes) -> list[bytes]:
    records = []
    while data:
        end = _RECORD_HEADER + int.from_bytes(data[11:13], "big")
        records.append(data[:end])
        data = data[end:]
    return records
