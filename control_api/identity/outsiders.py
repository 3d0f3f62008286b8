"""Issuers that we trust beside our own: the product's frontend (Auth.js), Supabase, anybody with a secret or key set.

An issuer that is trusted may say of any user that it is he; it is named by whoever runs voicegate, in the settings.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import Key, OctKey

from control_api.identity.claims import check_audience, check_issuer, check_times, check_type, refused
from control_api.identity.jwks import Fetch, RemoteKeys, fetch_json
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import ConfigError, VoicegateError

_TYPES = (None, "jwt", "at+jwt")
_MIN_SECRET_BYTES = 32
"""HS256 wants a key as long as its hash (RFC 7518 section 3.2)."""
_AUTHJS_BYTES = {"A256CBC-HS512": 64, "A256GCM": 32}


class SecretIssuer(msgspec.Struct, frozen=True, tag_field="kind", tag="secret", rename="camel"):
    """Tokens signed with a shared secret (HS256): Supabase's older projects, a frontend's own."""

    issuer: str
    audience: str
    secret: str
    algorithms: tuple[Literal["HS256", "HS384", "HS512"], ...] = ("HS256",)


class JwksIssuer(msgspec.Struct, frozen=True, tag_field="kind", tag="jwks", rename="camel"):
    """Tokens signed with a key that the issuer publishes: Supabase, Auth0, Keycloak and others."""

    issuer: str
    audience: str
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = ("ES256", "RS256")


class AuthJsIssuer(msgspec.Struct, frozen=True, tag_field="kind", tag="authjs", rename="camel"):
    """Auth.js' session tokens, encrypted with a key derived from its secret and the name of its cookie.

    They say neither issuer nor audience: who knows the secret is trusted.
    """

    secret: str
    salts: tuple[str, ...] = ("authjs.session-token", "__Secure-authjs.session-token")
    """Names of the cookie, without and with TLS."""


IssuerSetting = SecretIssuer | JwksIssuer | AuthJsIssuer


class IssuerAway(VoicegateError):
    """Whether a token is good cannot be said: its key is not known, and its issuer cannot be asked."""

    code = "issuer_unavailable"


class Outsider(Protocol):
    """Reads tokens of one issuer."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def may_be_away(self) -> bool:
        """Whether reading takes something that must be fetched."""
        ...

    async def is_away(self) -> bool:
        """Whether the issuer is away, after another look if it was."""
        ...

    def may_read(self, issuer: str | None, *, encrypted: bool) -> bool:
        """Whether a token that calls itself so could be one of its."""
        ...

    async def read(self, token: str, key_id: str | None) -> dict[str, Any]:
        """The claims of a good token.

        Raises:
            Problem: ``unauthorized``.
            IssuerAway: it cannot be verified now.
        """
        ...


def read_settings(text: str) -> tuple[IssuerSetting, ...]:
    """The setting ``VOICEGATE_ISSUERS``: a JSON list.

    Raises:
        ConfigError: it is something else, or a secret is too short.
    """
    try:
        found = msgspec.json.decode(text or "[]", type=tuple[IssuerSetting, ...])
    except msgspec.DecodeError as error:
        raise ConfigError(f"VOICEGATE_ISSUERS: {error}; docs/control-api.md shows what is allowed") from None
    for each in found:
        if not isinstance(each, JwksIssuer) and len(each.secret.encode()) < _MIN_SECRET_BYTES:
            raise ConfigError(f"VOICEGATE_ISSUERS: secrets have {_MIN_SECRET_BYTES} bytes or more")
    return found


def open_outsider(setting: IssuerSetting, clock: Clock, fetch: Fetch = fetch_json) -> Outsider:
    """A reader for the issuer's tokens."""
    match setting:
        case SecretIssuer():
            return _WithSecret(setting, clock)
        case JwksIssuer():
            return _WithKeys(setting, RemoteKeys(setting.url, clock, fetch), clock)
        case AuthJsIssuer():
            return _AuthJs(setting, clock)


class _WithSecret:
    def __init__(self, setting: SecretIssuer, clock: Clock) -> None:
        self._setting, self._clock = setting, clock
        self._key = OctKey.import_key(setting.secret)
        self.name, self.may_be_away = setting.issuer, False

    async def is_away(self) -> bool:
        return False

    def may_read(self, issuer: str | None, *, encrypted: bool) -> bool:
        return not encrypted and issuer == self._setting.issuer

    async def read(self, token: str, key_id: str | None) -> dict[str, Any]:
        claims = _signed(token, self._key, self._setting.algorithms)
        return _checked(claims, self._setting, self._clock)


class _WithKeys:
    def __init__(self, setting: JwksIssuer, keys: RemoteKeys, clock: Clock) -> None:
        self._setting, self._keys, self._clock = setting, keys, clock
        self.name, self.may_be_away = setting.issuer, True

    async def is_away(self) -> bool:
        if self._keys.is_away:
            await self._keys.look_again()
        return self._keys.is_away

    def may_read(self, issuer: str | None, *, encrypted: bool) -> bool:
        return not encrypted and issuer == self._setting.issuer

    async def read(self, token: str, key_id: str | None) -> dict[str, Any]:
        key = await self._keys.find(key_id) if key_id else None
        if key is None and key_id and self._keys.is_away:
            raise IssuerAway("its key is not known, and its issuer does not answer")
        if key is None:
            raise refused("its key is not known")
        return _checked(_signed(token, key, self._setting.algorithms), self._setting, self._clock)


class _AuthJs:
    """Auth.js 5: ``dir`` with A256CBC-HS512 (or A256GCM), key by HKDF-SHA256; source: packages/core/src/jwt.ts."""

    def __init__(self, setting: AuthJsIssuer, clock: Clock) -> None:
        self._clock = clock
        secret = setting.secret.encode()
        self._keys = [
            (encryption, OctKey.import_key(authjs_key(secret, salt, encryption)))
            for salt in setting.salts
            for encryption in _AUTHJS_BYTES
        ]
        self.name, self.may_be_away = "Auth.js", False

    async def is_away(self) -> bool:
        return False

    def may_read(self, issuer: str | None, *, encrypted: bool) -> bool:
        return encrypted

    async def read(self, token: str, key_id: str | None) -> dict[str, Any]:
        for encryption, key in self._keys:
            try:
                found = jwt.decode(token, key, registry=JWERegistry(algorithms=["dir", encryption]))
            except (JoseError, ValueError):
                continue
            check_times(found.claims, self._clock.utc().timestamp())
            return found.claims
        raise refused("nobody we trust has encrypted it")


def authjs_key(secret: bytes, salt: str, encryption: str) -> bytes:
    """The content encryption key of Auth.js for a cookie's name."""
    information = f"Auth.js Generated Encryption Key ({salt})".encode()
    return HKDF(SHA256(), _AUTHJS_BYTES[encryption], salt.encode(), information).derive(secret)


def _signed(token: str, key: Key, algorithms: Sequence[str]) -> dict[str, Any]:
    try:
        found = jwt.decode(token, key, list(algorithms))
    except (JoseError, ValueError):
        raise refused("its signature is not its issuer's") from None
    check_type(found.header, _TYPES)
    return found.claims


def _checked(claims: dict[str, Any], setting: SecretIssuer | JwksIssuer, clock: Clock) -> dict[str, Any]:
    check_issuer(claims, setting.issuer)
    check_audience(claims, setting.audience)
    check_times(claims, clock.utc().timestamp())
    return claims
