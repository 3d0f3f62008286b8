"""Our own tokens, JWTs signed with ES256: access tokens (RFC 9068) for requests, refresh tokens for new ones."""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from control_api.identity.caller import User
from control_api.identity.claims import check_audience, check_issuer, check_times, check_type, refused
from voicegate.kernel.clock import Clock

ALGORITHM = "ES256"
ACCESS_TYPE = "at+jwt"
REFRESH_TYPE = "rt+jwt"
_VERIFIED = 4_096
"""Tokens whose signature is known to be good: a page sends the same one with every request."""


@dataclass(frozen=True, slots=True)
class IssuerConfig:
    issuer: str = "voicegate"
    audience: str = "voicegate-api"
    access_s: int = 900
    refresh_s: int = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh token says: which login, and the how manieth of its tokens it is."""

    family: UUID
    serial: int


class Issuer:
    def __init__(self, config: IssuerConfig, key: ECKey, clock: Clock) -> None:
        self.config = config
        key.ensure_kid()
        self._key = key
        self._clock = clock
        self._verified: OrderedDict[bytes, jwt.Token] = OrderedDict()

    @property
    def name(self) -> str:
        return self.config.issuer

    def public_keys(self) -> Any:
        """A JWK set (RFC 7517 section 5)."""
        return KeySet([self._key]).as_dict(private=False, use="sig", alg=ALGORITHM)

    def access_token(self, user: User, family: UUID) -> str:
        """Good for ``access_s``. Organisation and role are told for the client's use; we look them up."""
        return self._sign(
            ACCESS_TYPE,
            self.config.audience,
            self.config.access_s,
            sub=str(user.id),
            email=user.email,
            org=str(user.organization_id),
            role=user.role,
            sid=str(family),
        )

    def refresh_token(self, user_id: UUID, refresh: Refresh) -> str:
        return self._sign(
            REFRESH_TYPE,
            self.config.issuer,
            self.config.refresh_s,
            sub=str(user_id),
            family=str(refresh.family),
            serial=refresh.serial,
        )

    def read_access(self, token: str) -> dict[str, Any]:
        """The claims of a good access token.

        Raises:
            Problem: ``unauthorized``.
        """
        return self._read(token, ACCESS_TYPE, self.config.audience)

    def read_refresh(self, token: str) -> Refresh:
        """What a good refresh token says. Whether it is the newest is not known here.

        Raises:
            Problem: ``unauthorized``.
        """
        claims = self._read(token, REFRESH_TYPE, self.config.issuer)
        try:
            return Refresh(UUID(claims["family"]), int(claims["serial"]))
        except (KeyError, ValueError, TypeError, AttributeError):
            raise refused("its claims are incomplete") from None

    def _sign(self, kind: str, audience: str, lifetime_s: int, **claims: Any) -> str:
        now = int(self._clock.utc().timestamp())
        claims |= {
            "iss": self.config.issuer,
            "aud": audience,
            "iat": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid, "typ": kind}, claims, self._key, [ALGORITHM])

    def _read(self, token: str, kind: str, audience: str) -> dict[str, Any]:
        read = self._verify(token)
        check_type(read.header, (kind,))
        check_issuer(read.claims, self.config.issuer)
        check_audience(read.claims, audience)
        check_times(read.claims, self._clock.utc().timestamp())
        return dict(read.claims)

    def _verify(self, token: str) -> jwt.Token:
        """What a token of our key says, whatever its kind and its time."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        read = self._verified.get(digest)
        if read is None:
            try:
                read = jwt.decode(token, self._key, [ALGORITHM])
            except (JoseError, ValueError):
                raise refused("it is not signed by us") from None
            self._verified[digest] = read
            if len(self._verified) > _VERIFIED:
                self._verified.popitem(last=False)
        return read
