"""ICE candidates of a remote caller: reading them (RFC 8839 section 5.1), and which may be checked. Pure.

A connectivity check is a datagram that a stranger makes us send to an address of his choice. So none goes to this
machine, to link-local or multicast addresses, to a cloud's metadata service, or to a range that the operator denies.
Names (``<uuid>.local``, mDNS) are never resolved: a browser that hides its address is found by its own checks
(peer-reflexive candidates, RFC 8445 section 7.3.1.3).
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

LEAST_PORT: Final = 1024
"""Below it stand services; no peer has its media there."""

_FOUNDATION: Final = re.compile(r"[A-Za-z0-9+/\-._]{1,64}")
_NEVER: Final[tuple[Network, ...]] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.100.100.200/32",  # metadata service of a cloud
            "168.63.129.16/32",  # the same of another one
            "169.254.0.0/16",  # link-local, with the metadata address that most clouds share
            "192.0.0.0/24",  # IETF protocol assignments, with the metadata address of yet another cloud
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "::/128",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
            "fd00:ec2::/32",  # metadata service over IPv6
        ),
    )
)


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """One candidate line, as plain data."""

    foundation: str
    component: int
    transport: str
    """Lower case: ``udp`` or ``tcp``."""
    priority: int
    host: str
    """An address or a name."""
    port: int
    kind: str
    """``host``, ``srflx``, ``prflx`` or ``relay``."""


@dataclass(frozen=True, slots=True)
class CandidatePolicy:
    """Where connectivity checks may go."""

    allow_loopback: bool = False
    """For callers of this machine: the gateway itself listens on loopback, or the operator says so."""
    denied: tuple[Network, ...] = ()
    """More ranges that are never checked."""

    def may_check(self, host: str, port: int) -> bool:
        """Whether a datagram may go there. False for whatever is no address."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if port < LEAST_PORT or "%" in host:
            return False
        return all(self._allowed(each) for each in _with_embedded(address))

    def _allowed(self, address: Address) -> bool:
        if any(address in network for network in self.denied if network.version == address.version):
            return False
        if address.is_loopback:
            return self.allow_loopback
        return not any(address in network for network in _NEVER if network.version == address.version)


def read_candidate(value: str) -> RemoteCandidate | None:
    """The value of ``a=candidate:``; None where it is not one. Extensions behind the type are left out."""
    words = value.split(maxsplit=9)
    if len(words) < 8 or words[6] != "typ":
        return None
    foundation, component, transport, priority, host, port, _, kind = words[:8]
    numbers = (component, priority, port)
    if not all(number.isascii() and number.isdecimal() and len(number) <= 10 for number in numbers):
        return None
    found = RemoteCandidate(foundation, int(component), transport.lower(), int(priority), host, int(port), kind)
    fits = 1 <= found.component <= 256 and found.priority < 1 << 32 and 0 < found.port < 1 << 16
    known = found.kind in ("host", "srflx", "prflx", "relay") and len(host) <= 255
    return found if fits and known and _FOUNDATION.fullmatch(foundation) else None


def checkable(candidate: RemoteCandidate, policy: CandidatePolicy) -> bool:
    """Whether the candidate goes into the check list: UDP, the one component that rtcp-mux leaves, an allowed
    address."""
    return (
        candidate.transport == "udp"
        and candidate.component == 1
        and candidate.kind != "prflx"  # these are found, not told
        and policy.may_check(candidate.host, candidate.port)
    )


def _with_embedded(address: Address) -> list[Address]:
    """The address, and the IPv4 address it stands for where it is a translated one."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in ipaddress.IPv6Network("64:ff9b::/96"):  # RFC 6052
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in inside if each is not None] or [address]
