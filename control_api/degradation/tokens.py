"""Tokens of other issuers that were seen as good, for when an issuer is away and its keys are not known.

Every process sees them, and they outlive a restart: they are kept in Redis, by their hash, off the request's path.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from control_api.degradation.behind import WriteBehind
from control_api.degradation.breaker import Breaker
from sessions import scripts
from sessions.connection import AWAY
from sessions.keys import seen_token_key
from voicegate.kernel.clock import Clock

_CLAIMS = ("sub", "email", "email_verified", "exp")
"""What finding the user takes, and the token's end."""
_REMEMBERED = 10_000
_NOTE = scripts.Script("return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")


class SeenTokens:
    def __init__(self, client: Redis, breaker: Breaker, behind: WriteBehind, clock: Clock, grace_s: float) -> None:
        self._client, self._breaker, self._behind, self._clock = client, breaker, behind, clock
        self._grace_s = grace_s
        self._noted: OrderedDict[str, float] = OrderedDict()

    def note(self, token: str, claims: Mapping[str, Any]) -> None:
        """The token has just been verified, and these are its claims."""
        digest, now_s = _digest(token), self._clock.monotonic()
        if not self._grace_s or now_s - self._noted.get(digest, float("-inf")) < self._grace_s / 10:
            return
        self._noted[digest] = now_s
        self._noted.move_to_end(digest)
        if len(self._noted) > _REMEMBERED:
            self._noted.popitem(last=False)
        kept = msgspec.json.encode({name: claims[name] for name in _CLAIMS if name in claims})
        call = scripts.Call(_NOTE, (seen_token_key(digest),), (kept, round(self._grace_s * 1000)))
        self._behind.offer(f"seen:{digest}", call, len(kept))

    async def claims(self, token: str) -> dict[str, Any] | None:
        """What the token says, if it was good within the grace period and has not expired; None otherwise."""
        if self._breaker.is_open:
            return None
        try:
            found = cast(bytes | None, await self._client.get(seen_token_key(_digest(token))))
        except AWAY:
            self._breaker.failed()
            return None
        claims: dict[str, Any] = msgspec.json.decode(found) if found else {}
        expires = claims.get("exp", 0)
        return claims if expires > self._clock.utc().timestamp() else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
