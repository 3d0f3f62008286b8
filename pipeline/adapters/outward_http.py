"""HTTP requests to addresses that customers choose: never to our own networks, never for long, never for much.

A name is resolved once, every address that it has is checked, and the connection is made to an address that was
checked: a name that answers otherwise the second time (DNS rebinding) gains nothing. Redirects are not followed.
Sources: the IANA special-purpose address registries (RFC 6890), as ``ipaddress`` has them; OWASP's Server-Side Request
Forgery Prevention Cheat Sheet.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.adapters.http_request import Prepared

MAX_ANSWER_BYTES: Final = 16_384
"""More than an agent can say; it becomes an event of the call too."""
_CONNECTIONS, _CONNECTIONS_OF_HOST = 100, 10
_KEEP_S = 15.0
_NEVER_V6: Final = tuple(
    ip_network(each)
    for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "100::/64", "3fff::/20", "5f00::/16")
)
"""Beside what ``ipaddress`` knows. NAT64, 6to4 and Teredo hold an IPv4 address and lead wherever that one leads."""
_NEVER_V4: Final = tuple(ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))
"""Beside what ``ipaddress`` knows. The last one is how machines of Azure reach their platform, though it looks public;
that of Oracle's cloud is in the first."""


class RequestRefused(Exception):
    """The request was not made, or its answer not taken; the message says why and may be shown to the customer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    media_type: str
    """Lower case, without parameters; empty if none was named."""
    body: bytes


def is_public(address: str) -> bool:
    """Whether a literal IP address is one of the public Internet."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return _public_v4(parsed.ipv4_mapped)
        return parsed.is_global and not parsed.is_multicast and not any(parsed in each for each in _NEVER_V6)
    return _public_v4(parsed)


def _public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in each for each in _NEVER_V4)


class _CheckedResolver(AbstractResolver):
    """Resolves names by the system, and gives public addresses only."""

    def __init__(self, *, private_hosts: bool) -> None:
        self._private_hosts = private_hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        addresses = list(dict.fromkeys((each[0], str(each[4][0])) for each in found))
        # One private address among public ones is no accident: the whole name is refused.
        if not self._private_hosts and not all(is_public(address) for _, address in addresses):
            raise RequestRefused(f"{host} has an address that is not public")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class OutwardHttp:
    """Makes requests. One a process; see :func:`outward_http`."""

    def __init__(self, client: aiohttp.ClientSession, *, private_hosts: bool) -> None:
        self._client, self._private_hosts = client, private_hosts

    @property
    def private_hosts(self) -> bool:
        """Private addresses, and http without TLS, are allowed."""
        return self._private_hosts

    async def send(self, request: Prepared, timeout_s: float) -> Answer:
        """Make one request, all in all within ``timeout_s``.

        Raises:
            RequestRefused: where it goes is not allowed, it cannot be reached, or its answer is too large or too late.
        """
        self._check(request.url)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body,
                    allow_redirects=False,
                ) as response,
            ):
                return await _answer(response)
        except TimeoutError as error:
            raise RequestRefused(f"no answer within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RequestRefused(_why(error)) from error

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (self._private_hosts and parts.scheme == "http"):
            raise RequestRefused("the address must begin with https://")
        # The HTTP client asks no resolver for an address that is a number already.
        if not self._private_hosts and _is_number(parts.hostname or "") and not is_public(parts.hostname or ""):
            raise RequestRefused(f"{parts.hostname} is not a public address")


@asynccontextmanager
async def outward_http(*, private_hosts: bool = False) -> AsyncIterator[OutwardHttp]:
    """The client while entered. ``private_hosts``: for local use, addresses of our own networks too."""
    connector = aiohttp.TCPConnector(
        resolver=_CheckedResolver(private_hosts=private_hosts),
        limit=_CONNECTIONS,
        limit_per_host=_CONNECTIONS_OF_HOST,
        keepalive_timeout=_KEEP_S,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),  # what one customer's server sets is no other's business
        auto_decompress=False,  # a few bytes can stand for gigabytes
        headers={"Accept-Encoding": "identity", "User-Agent": "voicegate"},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    ) as client:
        yield OutwardHttp(client, private_hosts=private_hosts)


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    if 300 <= response.status < 400:
        raise RequestRefused(f"it redirects (status {response.status}), which is not followed")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestRefused("its answer is compressed, which was not asked for")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise RequestRefused(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
    named = response.headers.get("Content-Type", "")
    return Answer(response.status, named.partition(";")[0].strip().lower(), bytes(body))


def _is_number(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _why(error: Exception) -> str:
    """In words that tell a customer about his server and nothing about our network."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate is not good"
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "its name is not known"
        case aiohttp.ClientConnectorError():
            return "it takes no connection"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it broke off"
        case _:
            return f"it does not speak HTTP ({type(error).__name__})"
