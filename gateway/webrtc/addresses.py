"""Which local addresses take media."""

from typing import Final

from aioice.ice import get_host_addresses

from gateway.origins import is_loopback
from gateway.webrtc.config import WebRtcConfig

_ANY: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def media_addresses(config: WebRtcConfig, gateway_host: str) -> tuple[str, ...]:
    """Those of the settings; else the gateway's own; and where it listens everywhere, those of all interfaces."""
    if config.hosts:
        return config.hosts
    if is_loopback(gateway_host):
        return ("127.0.0.1",)
    if gateway_host not in _ANY:
        return (gateway_host,)
    found = [each for each in get_host_addresses(use_ipv4=True, use_ipv6=True) if "%" not in each]
    return tuple(each for each in found if not each.startswith("fe80:")) or ("127.0.0.1",)


def media_ports(config: WebRtcConfig, first: int) -> tuple[int, ...]:
    """The ports to try, in order, beginning somewhere (``first``, any number) in the range."""
    low, high = config.ports
    if not low:
        return (0,)
    count = high - low + 1
    return tuple(low + (first + step) % count for step in range(count))
