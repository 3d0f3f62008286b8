"""The public keys of another issuer, fetched when needed, kept, and used stale while the issuer is away."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from voicegate.kernel.clock import Clock

FRESH_S = 600.0
UNKNOWN_AGAIN_S = 30.0
"""A key id that we do not know is looked for at most so often: whoever invents ids cannot make us ask all day."""
KEPT_S = 24 * 3600.0
"""So long after they were fetched last, keys are trusted although their issuer cannot be asked: it may have withdrawn
them."""
_TIMEOUT_S = 5.0
_MAX_BYTES = 256 * 1024

Fetch = Callable[[str], Awaitable[Any]]
_log = structlog.get_logger(__name__)


async def fetch_json(url: str) -> Any:
    """A JSON document over HTTP, of a bounded size, without following redirects.

    Raises:
        aiohttp.ClientError, TimeoutError, ValueError: there is none.
    """
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as client,
        client.get(url, allow_redirects=False, raise_for_status=True) as response,
    ):
        data = bytearray()
        async for part in response.content.iter_any():
            data += part
            if len(data) > _MAX_BYTES:
                raise ValueError(f"{url} gave more than {_MAX_BYTES} bytes")
        if response.status != 200:
            raise ValueError(f"{url} gave status {response.status}")
        return json.loads(data)


class RemoteKeys:
    """Keys of one issuer by their ids."""

    def __init__(self, url: str, clock: Clock, fetch: Fetch = fetch_json) -> None:
        self._url, self._clock, self._fetch = url, clock, fetch
        self._keys: dict[str, Key] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self.is_away = False
        """The issuer did not answer when it was asked last."""
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> Key | None:
        """The key of this id, or None where the issuer has none (or cannot be asked and we do not know it)."""
        if self._wants_fetch(key_id):
            async with self._lock:
                if self._wants_fetch(key_id):
                    await self._refresh()
        if self._clock.monotonic() - self._fetched_at > KEPT_S:
            return None
        return self._keys.get(key_id)

    async def look_again(self) -> None:
        """See whether an issuer that was away is back, as often as an unknown key may be looked for."""
        async with self._lock:
            if self.is_away and self._clock.monotonic() - self._tried_at >= UNKNOWN_AGAIN_S:
                await self._refresh()

    def _wants_fetch(self, key_id: str) -> bool:
        now = self._clock.monotonic()
        if now - self._tried_at < UNKNOWN_AGAIN_S:
            return False
        return key_id not in self._keys or now - self._fetched_at >= FRESH_S

    async def _refresh(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            document = await self._fetch(self._url)
            keys = KeySet.import_key_set(cast(Any, document))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            # The keys that we have stay in use: an issuer that is away must not log everybody out.
            _log.warning("issuer's keys not fetched", url=self._url, error=type(error).__name__)
            self.is_away = True
            return
        self.is_away = False
        self._keys = {key.kid: key for key in keys if key.kid and not key.is_private and key.key_type != "oct"}
        self._fetched_at = self._clock.monotonic()
