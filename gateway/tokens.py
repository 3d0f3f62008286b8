"""Bearer tokens for calls: our own compact signed tokens, and static API keys.

A token is ``vg1.<claims>.<signature>``: claims are JSON, the signature is HMAC-SHA256 (RFC 2104) over ``vg1.<claims>``,
both in base64url without padding (RFC 4648 section 5). One algorithm and one version, so there is nothing to downgrade.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

import msgspec

from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import ConfigError, RefusedCall

MAX_TOKEN_CHARACTERS = 2_048
MIN_SECRET_BYTES = 16
"""Shortest signing secret and API key that is accepted (128 bits; our choice)."""
ANY_SESSION = "*"
_VERSION = "vg1"


class Claims(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What a token allows."""

    session: str
    """The session id, or ``*`` for any."""
    expires: int
    """Seconds since the epoch."""
    agent: str = ""
    """The only agent that may be called; empty: any."""
    token_id: str = ""
    """Set: the token is good for one call."""


class SpentTokens(Protocol):
    """Remembers single-use tokens. Shared by the processes of a deployment, where there are several."""

    async def spend(self, token_id: str, expires: int) -> bool:
        """True the first time for this id. It may be forgotten after ``expires`` (seconds since the epoch).

        Raises:
            StateUnavailable: the memory is away; the token must not be taken.
        """
        ...


class SpentHere:
    """Single-use tokens of this process alone. Full means refused: forgetting early would allow a replay."""

    def __init__(self, clock: Clock, *, capacity: int = 100_000) -> None:
        self._clock = clock
        self._capacity = capacity
        self._spent: dict[str, int] = {}

    async def spend(self, token_id: str, expires: int) -> bool:
        now = self._clock.utc().timestamp()
        if len(self._spent) >= self._capacity:
            self._spent = {each: until for each, until in self._spent.items() if until > now}
        if token_id in self._spent or len(self._spent) >= self._capacity:
            return False
        self._spent[token_id] = expires
        return True


def sign(secret: str, claims: Claims) -> str:
    """A token for ``claims``."""
    body = f"{_VERSION}.{_to_text(msgspec.json.encode(claims))}"
    return f"{body}.{_signature(secret, body)}"


class TokenVerifier:
    """Checks what a client presents.

    ``secrets``: all verify, so that one can be replaced without a gap. ``keys``: static API keys, good for every
    session.
    """

    def __init__(self, clock: Clock, *, secrets: Sequence[str] = (), keys: Sequence[str] = ()) -> None:
        for secret in (*secrets, *keys):
            if len(secret.encode()) < MIN_SECRET_BYTES:
                raise ConfigError(f"token secrets and API keys need at least {MIN_SECRET_BYTES} bytes")
        self._clock = clock
        self._secrets = tuple(secrets)
        self._keys = tuple(key.encode() for key in keys)

    def verify(self, token: str, session_id: str) -> Claims:
        """The claims of a good token; an API key gives claims for this session without expiry or agent.

        Whether a single-use token was used before is not looked at here (see :class:`SpentTokens`).

        Raises:
            RefusedCall: ``unauthorized`` (unreadable, forged, expired) or ``forbidden`` (another session's).
        """
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise RefusedCall("unauthorized", f"a token is ASCII and has at most {MAX_TOKEN_CHARACTERS} characters")
        if self._is_key(token.encode()):
            return Claims(session=session_id, expires=0)
        claims = self._read(token)
        if claims.expires <= self._clock.utc().timestamp():
            raise RefusedCall("unauthorized", "the token has expired; get a new one")
        if claims.session not in (ANY_SESSION, session_id):
            raise RefusedCall("forbidden", "the token is for another session id")
        return claims

    def _is_key(self, token: bytes) -> bool:
        found = False
        for key in self._keys:  # no early exit: the time taken must not tell which key was near
            found |= hmac.compare_digest(key, token)
        return found

    def _read(self, token: str) -> Claims:
        body, _, signature = token.rpartition(".")
        good = False
        for secret in self._secrets:
            good |= hmac.compare_digest(_signature(secret, body), signature)
        version, _, encoded = body.partition(".")
        if not good or version != _VERSION:
            raise RefusedCall("unauthorized", "the token is not one of ours")
        try:
            return msgspec.json.decode(_from_text(encoded), type=Claims)
        except (binascii.Error, msgspec.DecodeError):
            raise RefusedCall("unauthorized", "the token's claims cannot be read") from None


def _signature(secret: str, body: str) -> str:
    return _to_text(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
