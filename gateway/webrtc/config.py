"""The settings of WebRTC, as values."""

import ipaddress
import re
from dataclasses import dataclass, field

from gateway.origins import is_loopback
from gateway.webrtc.candidates import CandidatePolicy, Network
from voicegate.kernel.errors import ConfigError

_ICE_SERVER = re.compile(r"(stuns?|turns?):[A-Za-z0-9.\-\[\]:]+(\?transport=(udp|tcp))?")


@dataclass(frozen=True, slots=True)
class WebRtcConfig:
    hosts: tuple[str, ...] = ()
    """Addresses to take media on; empty: those of this machine that fit the gateway's own."""
    ports: tuple[int, int] = (0, 0)
    """First and last UDP port for media; 0: any free one."""
    public_address: str = ""
    """IPv4 address that callers reach, where a router maps it to ours one to one."""
    allow_loopback: bool = False
    """Connectivity checks may go to loopback although the gateway listens elsewhere too."""
    denied: tuple[Network, ...] = ()
    """Ranges that are never checked."""
    ice_servers: tuple[str, ...] = ()
    """``stun:`` and ``turn:`` URLs (RFC 7064, RFC 7065) that callers are told."""
    turn_secret: str = field(default="", repr=False)
    """Shared with the TURN servers."""
    turn_credentials_s: float = 3600.0
    """How long a caller's TURN credentials are good."""
    setup_s: float = 15.0
    """From the answer to media; then the caller is given up."""
    quiet_s: float = 0.7
    """Silence before the peer is asked whether it lives."""
    gone_s: float = 1.8
    """Silence after which the peer is gone: with one 20 ms tick and a little delay below 2 s."""
    forget_s: float = 30.0
    """Silence after which its sockets are closed (RFC 7675 section 5.1: consent lasts 30 s)."""

    def __post_init__(self) -> None:
        low, high = self.ports
        if (low == 0) != (high == 0) or not 0 <= low <= high <= 65_535:
            raise ConfigError(f"UDP ports {low} to {high}: give the first and the last of a range")
        for url in self.ice_servers:
            if not _ICE_SERVER.fullmatch(url):
                raise ConfigError(f"{url!r} is no ICE server: write stun:host:port or turn:host:port?transport=udp")
        for address in (*self.hosts, *([self.public_address] if self.public_address else [])):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ConfigError(f"{address!r} is no IP address") from None

    def policy(self, gateway_host: str) -> CandidatePolicy:
        """Which candidates may be checked, for a gateway that listens on ``gateway_host``."""
        return CandidatePolicy(self.allow_loopback or is_loopback(gateway_host), self.denied)
