"""ICE (RFC 8445) for one call: aioice's check list behind sockets that let through only what ICE has validated.

aioice hands every datagram from anywhere to its reader, answers unauthenticated requests, and asks for consent every
5 s. Here each socket sorts its datagrams (:mod:`gateway.webrtc.demux`): STUN that is not authenticated, and everything
else from an address without a valid pair, costs one counter and nothing more; and silence is asked about at once.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from aioice import Candidate, Connection, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol

from gateway.webrtc.answer import LocalCandidate
from gateway.webrtc.candidates import CandidatePolicy, RemoteCandidate, checkable
from gateway.webrtc.demux import Kind, classify
from gateway.webrtc.offer import IceLogin
from voicegate.kernel.telemetry import Counter

MAX_REMOTE_CANDIDATES: Final = 32
"""Addresses of one peer that are ever checked, told and found ones together (RFC 8445 section 19.5.1)."""

Deliver = Callable[[Kind, bytes], None]


class Ice(Connection):
    """The controlled side of one call's connection. ``deliver`` gets everything but STUN, from validated addresses
    only."""

    def __init__(self, policy: CandidatePolicy, deliver: Deliver, dropped: Counter) -> None:
        super().__init__(ice_controlling=False, local_username=_text(6), local_password=_text(18))
        self._policy = policy
        self._deliver = deliver
        self._dropped = dropped
        self._asked: dict[bytes, None] = {}
        self.heard = 0
        """Rises with every authenticated sign of life on this layer."""

    # --- setting up ---

    async def listen(self, addresses: Sequence[str], ports: Sequence[int]) -> None:
        """Open one socket an address, on one of ``ports`` (one 0: any free one).

        Raises:
            OSError: no address can be listened on.
        """
        problem: OSError | None = None
        for address in addresses:
            try:
                self._protocols.append(await self._open(address, ports))
            except OSError as error:
                problem = error
        if not self._protocols:
            raise problem or OSError("no address to listen on")
        self._local_candidates = [protocol.local_candidate for protocol in self._protocols]
        self._local_candidates_end = True

    def candidates(self, public_address: str = "") -> list[LocalCandidate]:
        """What the answer says. ``public_address`` replaces IPv4 addresses where a router maps one to one."""
        found = []
        for each in self._local_candidates:
            address = public_address if public_address and ":" not in each.host else each.host
            found.append(LocalCandidate(each.foundation, each.priority, address, each.port))
        return found

    @property
    def login(self) -> IceLogin:
        return IceLogin(self.local_username, self.local_password)

    async def open(self, login: IceLogin, *, lite: bool) -> None:
        """Check until the peer has nominated a pair. Who calls this bounds the time.

        Raises:
            ConnectionError: it was closed.
        """
        self.remote_username, self.remote_password = login.ufrag, login.password
        self.remote_is_lite = lite
        if lite:
            self.switch_role(ice_controlling=True)  # RFC 8445 section 6.1.1: a lite peer never controls
        await self.connect()
        if self._query_consent_task is not None:
            self._query_consent_task.cancel()  # ours is :meth:`ask`, and much quicker
            self._query_consent_task = None

    async def add(self, candidate: RemoteCandidate) -> bool:
        """Put a candidate into the check list; False where it does not belong there."""
        if not checkable(candidate, self._policy) or len(self._remote_candidates) >= MAX_REMOTE_CANDIDATES:
            return False
        kind = candidate.kind
        await self.add_remote_candidate(
            Candidate(candidate.foundation, 1, "udp", candidate.priority, candidate.host, candidate.port, kind)
        )
        return True

    # --- carrying ---

    def send(self, datagram: bytes) -> None:  # type: ignore[override]
        """Send on the nominated pair; nothing where there is none."""
        pair = self._nominated.get(1)
        if pair is not None and not self._closing:
            pair.protocol.transport.sendto(datagram, pair.remote_addr)

    def ask(self) -> None:
        """Ask the peer for a sign of life (a consent check, RFC 7675 section 5.1)."""
        pair = self._nominated.get(1)
        if pair is None or self._closing or self.remote_password is None:
            return
        request = self.build_request(pair, nominate=False)
        request.add_message_integrity(self.remote_password.encode())
        self._asked[request.transaction_id] = None
        if len(self._asked) > 16:
            del self._asked[next(iter(self._asked))]
        pair.protocol.transport.sendto(bytes(request), pair.remote_addr)

    async def shut(self, within_s: float) -> None:
        """Close the sockets. Returns after ``within_s`` at the latest."""
        try:
            async with asyncio.timeout(within_s):
                await self.close()
        except TimeoutError:
            for protocol in self._protocols:
                protocol.transport.abort()

    def forget(self) -> None:
        """After :meth:`shut`: whoever was delivered to is free at once, without the collector."""
        self._deliver = _nobody
        self._check_list.clear()

    # --- what aioice calls ---

    def check_complete(self, pair: CandidatePair) -> None:
        super().check_complete(pair)
        for protocol in self._protocols:
            cast(_Socket, protocol).valid = {
                each.remote_addr
                for each in self._check_list
                if each.protocol is protocol and each.state is CandidatePair.State.SUCCEEDED
            }

    def request_received(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        if self._authentic(message) and self._policy.may_check(*addr) and self._has_room(addr):
            super().request_received(message, addr, protocol)
            self.heard += 1
        else:
            self._dropped.inc()

    # --- what the sockets call ---

    def answered(self, message: stun.Message) -> bool:
        """Whether this is the answer to one of our :meth:`ask`."""
        if message.transaction_id not in self._asked or self.remote_password is None:
            return False
        if not message.check_message_integrity(self.remote_password.encode()):
            return False
        del self._asked[message.transaction_id]
        self.heard += 1
        return True

    def carried(self, kind: Kind, datagram: bytes) -> None:
        self._deliver(kind, datagram)

    def drop(self) -> None:
        self._dropped.inc()

    def _has_room(self, addr: tuple[str, int]) -> bool:
        """The address is known, or one more may be."""
        known = any(each._network_host == addr[0] and each.port == addr[1] for each in self._remote_candidates)
        return known or len(self._remote_candidates) < MAX_REMOTE_CANDIDATES

    def _authentic(self, message: stun.Message) -> bool:
        attributes = message.attributes
        return (
            message.message_method == stun.Method.BINDING
            and "PRIORITY" in attributes
            and self._valid_username(attributes.get("USERNAME", ""))
            and "MESSAGE-INTEGRITY" in attributes
            and message.check_message_integrity(self.local_password.encode())
        )

    async def _open(self, address: str, ports: Sequence[int]) -> StunProtocol:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: _Socket(self), sock=_bound(address, ports))
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host)[:32],
            component=1,
            transport="udp",
            priority=candidate_priority(1, "host", 65_535 - len(self._protocols)),
            host=host,
            port=port,
            type="host",
        )
        return protocol


def _nobody(kind: Kind, datagram: bytes) -> None:
    """The connection is closed."""


class _Socket(StunProtocol):
    """One UDP socket of a call."""

    def __init__(self, ice: Ice) -> None:
        super().__init__(ice)
        self._ice = ice
        self.valid: set[tuple[str, int]] = set()
        """Remote addresses with a valid pair on this socket."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        datagram = cast(bytes, data)
        kind = classify(datagram)
        peer = (addr[0], addr[1])
        if kind is Kind.STUN:
            self._stun(datagram, peer)
        elif kind is not Kind.NOISE and peer in self.valid:
            self._ice.carried(kind, datagram)
        else:
            self._ice.drop()

    def error_received(self, exc: Exception) -> None:
        """An ICMP message: anybody can make one up, so it says nothing."""

    def _stun(self, datagram: bytes, peer: tuple[str, int]) -> None:
        try:
            message = stun.parse_message(datagram)
            known = message.transaction_id in self.transactions
            if message.message_class == stun.Class.REQUEST:
                self._ice.request_received(message, peer, self)
            elif known and message.message_class in (stun.Class.RESPONSE, stun.Class.ERROR):
                self.transactions[message.transaction_id].response_received(message, peer)
            elif not self._ice.answered(message):
                self._ice.drop()
        except Exception:
            # aioice's parser raises whatever struct raises; of a stranger's bytes nothing is worth a log line.
            self._ice.drop()


def _bound(address: str, ports: Sequence[int]) -> socket.socket:
    """A UDP socket on the first of ``ports`` that is free. Made here, because a failed attempt of uvloop's own leaves
    its socket open."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    problem = OSError(f"no port for {address}")
    for port in ports:
        try:
            made.bind((address, port))
        except OSError as error:
            problem = error
        else:
            return made
    made.close()
    raise problem


def _text(size_bytes: int) -> str:
    """Random characters of RFC 8839's ice-char: letters and digits."""
    return os.urandom(size_bytes).hex()
