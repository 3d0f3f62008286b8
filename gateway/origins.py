"""Where a request comes from: loopback or not, which page, through which proxies. Pure functions of header text.

A gateway that takes anonymous calls on loopback must not be usable by a foreign web page in the visitor's browser.
Three things guard it: the ``Origin`` check (RFC 6454), the ``Host`` check against DNS rebinding, and the refusal of
whatever a proxy forwarded from elsewhere (RFC 7239 and its forerunners).
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

FORWARDING_HEADERS = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
)

_FOR = re.compile(r'for\s*=\s*"?([^";,]*)', re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def is_loopback(host: str) -> bool:
    """Whether a host name or address, with or without brackets, is this machine."""
    bare = host.strip().strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def forwarded_from_elsewhere(values: Iterable[tuple[str, str]]) -> bool:
    """Whether any forwarding header names a client that is not this machine, or one that cannot be read."""
    return any(not is_loopback(_host(client)) for name, value in values for client in _clients(name, value))


def host_is_loopback(host_header: str) -> bool:
    """Whether a ``Host`` header names this machine."""
    return is_loopback(_host(host_header))


def origin_allowed(origin: str | None, host_header: str, allowed: Collection[str]) -> bool:
    """Whether a page of this origin may call without a token.

    No ``Origin`` means no browser. Same host and port is allowed; pages of this machine may use any port of it.
    ``null`` (files, sandboxed frames, which foreign pages can make) only if it is listed.
    """
    if origin is None:
        return True
    if origin in allowed or "*" in allowed:
        return True
    try:
        parts = urlsplit(origin)
        here = urlsplit(f"//{host_header}")
        page = (parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme))
        us = (here.hostname, here.port or _DEFAULT_PORTS.get(parts.scheme))
    except ValueError:
        return False
    if page[0] is None or us[0] is None or parts.scheme not in ("http", "https"):
        return False
    return page == us or (is_loopback(page[0]) and is_loopback(us[0]))


def _clients(name: str, value: str) -> list[str]:
    if name.lower() == "forwarded":
        return _FOR.findall(value) or ["unknown"]
    return value.split(",")


def _host(address: str) -> str:
    """``host``, ``host:port``, ``v6`` or ``[v6]:port`` without the port."""
    text = address.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
