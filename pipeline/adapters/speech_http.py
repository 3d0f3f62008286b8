"""What speech vendors over HTTP have in common: deadlines, and their failures in our words."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import aiohttp

from voicegate.kernel.errors import ProviderError, ProviderRefused, ProviderTimeout

_BUSY = frozenset({408, 409, 425, 429})
_ERROR_BYTES = 500


def speakable(phrase: str) -> bool:
    """Whether there is anything to say. Vendors refuse, or invent sounds for, a lone "…"."""
    return any(character.isalnum() for character in phrase)


def failure(provider: str, status: int, detail: str) -> ProviderError:
    """The error of an answer with this HTTP status: 4xx refuses for good, busy and 5xx may be tried again."""
    message = f"HTTP {status}: {detail.strip()[:_ERROR_BYTES]}"
    if status in _BUSY or status >= 500:
        return ProviderError(provider, message, retryable=True)
    return ProviderRefused(provider, message)


@contextmanager
def translated(provider: str) -> Iterator[None]:
    """aiohttp's failures as :class:`ProviderError`, with the cause kept.

    Raises:
        ProviderTimeout: a deadline passed.
        ProviderError: no connection, or it broke.
    """
    try:
        yield
    except TimeoutError as error:
        raise ProviderTimeout(provider, "no answer in time") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise ProviderError(provider, f"connection failed: {error!r}", retryable=True) from error


async def body_pieces(
    provider: str, response: aiohttp.ClientResponse, *, first_s: float, between_s: float
) -> AsyncGenerator[bytes, None]:
    """The body as it comes, each piece within its deadline.

    Raises:
        ProviderTimeout: nothing for too long.
        ProviderError: the body broke off, or the status was not 200.
    """
    deadline_s = first_s
    if response.status != 200:
        with translated(provider):
            async with asyncio.timeout(between_s):
                detail = await response.text(errors="replace")
        raise failure(provider, response.status, detail)
    while True:
        with translated(provider):
            async with asyncio.timeout(deadline_s):
                piece = await response.content.readany()
        if not piece:
            return
        deadline_s = between_s
        yield piece


def new_session(connect_s: float) -> aiohttp.ClientSession:
    """Connections are kept for reuse, without a limit on their number; deadlines are the caller's."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
    )
