"""Who sends a Vonage webhook: a JWT in ``Authorization``, HS256 with the account's signature secret.

Source: Vonage "Signed webhooks" and the support article on verifying a Voice webhook's payload. ``payload_hash`` is
SHA-256 of what was sent: the body of a POST; of a GET the query as one JSON object, in its order, without white space.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from voicegate.kernel.errors import ConfigError, RefusedCall

MAX_TOKEN_CHARACTERS: Final = 4_096
MIN_SECRET_BYTES: Final = 14
"""112 bits: shorter keys are no keys for HS256 (NIST SP 800-131A)."""


@dataclass(frozen=True, slots=True)
class VonageKeys:
    secrets: Sequence[str] = field(default=(), repr=False)
    """Signature secrets; all verify, so that one can be replaced without a gap."""
    max_age_s: float = 300.0
    """Oldest ``iat`` (our choice: what Vonage gives its own tokens)."""
    clock_skew_s: float = 30.0
    payload_hash: bool = True
    """Refuse a webhook whose body the token does not vouch for. Off: for a proxy that rewrites bodies."""

    def __post_init__(self) -> None:
        if any(len(secret.encode()) < MIN_SECRET_BYTES for secret in self.secrets):
            raise ConfigError(f"a Vonage signature secret has at least {MIN_SECRET_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class VonageClaims:
    token_id: str
    """``jti``; good for one request."""
    expires: int
    """Seconds since the epoch; after it the id may be forgotten."""
    application_id: str = ""


def verify(authorization: str | None, payload: bytes, keys: VonageKeys, now_s: float) -> VonageClaims:
    """The claims of a webhook whose signed bytes are ``payload`` (a POST's body, or :func:`query_payload`).

    Raises:
        RefusedCall: ``forged``.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise _refused("a webhook has a Bearer token; signed webhooks are switched on in the Vonage dashboard")
    claims = _claims(token, keys.secrets)
    issued, token_id = claims.get("iat"), claims.get("jti")
    if isinstance(issued, bool) or not isinstance(issued, int) or not isinstance(token_id, str) or not token_id:
        raise _refused("the token has no 'iat' or no 'jti'")
    expires = claims.get("exp", issued + keys.max_age_s)
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise _refused("the token's 'exp' is no time")
    until = min(expires, issued + keys.max_age_s) + keys.clock_skew_s
    if not issued - keys.clock_skew_s <= now_s <= until:
        raise _refused("the token is not of this moment; compare the clocks")
    _check_payload(claims.get("payload_hash"), payload, keys)
    application = claims.get("application_id")
    return VonageClaims(token_id[:128], int(until) + 1, application if isinstance(application, str) else "")


def query_payload(query: Sequence[tuple[str, str]]) -> bytes:
    """What ``payload_hash`` of a GET request is taken of."""
    return msgspec.json.encode(dict(query))


def _claims(token: str, secrets: Sequence[str]) -> Mapping[str, object]:
    for secret in secrets:
        try:
            return jwt.decode(token, OctKey.import_key(secret), algorithms=["HS256"]).claims
        except (JoseError, ValueError, TypeError):
            continue
    raise _refused("the token is not signed with the signature secret")


def _check_payload(claimed: object, payload: bytes, keys: VonageKeys) -> None:
    if not keys.payload_hash:
        return
    actual = hashlib.sha256(payload).hexdigest()
    if not isinstance(claimed, str) or not hmac.compare_digest(actual.encode(), claimed.lower().encode()):
        raise _refused("the token's payload_hash is not that of the body")


def _refused(why: str) -> RefusedCall:
    return RefusedCall("forged", why)
