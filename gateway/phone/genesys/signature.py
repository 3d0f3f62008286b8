"""Who opens an AudioHook connection: the API key, and the signature of the upgrade request.

Genesys signs the upgrade as an HTTP message (draft-ietf-httpbis-message-signatures-11, by now RFC 9421) with
HMAC-SHA256 and the client secret that is set at both ends. Everything is decided here from plain data; what a signature
may be used once for is remembered elsewhere (:attr:`Signed.nonce`).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gateway.phone.genesys.structured import BadField, InnerList, parse_bytes, parse_lists
from gateway.phone.protocol import Upgrade
from voicegate.kernel.errors import ConfigError, RefusedCall

COVERED: Final = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
"""Components that a signature must cover; more are allowed (Genesys reference implementation)."""
MIN_NONCE_CHARACTERS: Final = 22
"""128 bits in base64 (Genesys reference implementation)."""
MAX_NONCE_CHARACTERS: Final = 256
_PARAMETERS: Final = frozenset({"keyid", "nonce", "alg", "created", "expires"})
_STRANGER: Final = hashlib.sha256(b"the key of nobody").digest()
"""Checked against where the API key is unknown, so that the time taken does not tell which keys exist."""


@dataclass(frozen=True, slots=True)
class GenesysKeys:
    """What may open a connection."""

    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Client secret by API key. An empty secret: the key alone opens, unsigned."""
    max_age_s: float = 10.0
    """Oldest ``created`` (the reference server takes 10 s, whatever ``expires`` says)."""
    clock_skew_s: float = 3.0
    """How far the two clocks may be apart."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request from the holder of a key."""

    api_key: str
    organization_id: str
    session_id: str
    nonce: str = ""
    """Good for one connection; empty for a key that opens unsigned."""
    expires: int = 0
    """Seconds since the epoch; after it the nonce may be forgotten."""


def read_keys(text: str, *, unsigned: bool = False) -> dict[str, bytes]:
    """Client secrets by API key, from ``key:base64secret,key:base64secret``.

    ``unsigned`` allows a key without a secret (``key:``).

    Raises:
        ConfigError: it reads otherwise, or a secret is missing that must not be.
    """
    keys: dict[str, bytes] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        key, colon, encoded = entry.partition(":")
        try:
            secret = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ConfigError("a Genesys client secret is base64, as Genesys shows it") from None
        if not (key and colon) or not (secret or unsigned):
            raise ConfigError(
                "Genesys keys are 'key:secret', separated by commas; a key without a secret must be allowed"
            )
        keys[key] = secret
    return keys


def verify(upgrade: Upgrade, keys: GenesysKeys, now_s: float) -> Signed:
    """The key that signed this request, at ``now_s`` seconds since the epoch.

    Raises:
        RefusedCall: ``unauthorized`` (there is no signature), ``forged`` (it is wrong, stale or of another request);
            the message says what to look at, never what was expected.
    """
    headers = upgrade.headers
    api_key = headers.get("x-api-key", "").strip()
    ids = (headers.get("audiohook-organization-id", "").strip(), headers.get("audiohook-session-id", "").strip())
    if not (api_key and all(ids)):
        why = "the headers X-API-KEY, Audiohook-Organization-Id and Audiohook-Session-Id are needed"
        raise RefusedCall("unauthorized", why)
    secret = keys.secrets.get(api_key)
    if "signature" not in headers and "signature-input" not in headers:
        if secret == b"":
            return Signed(api_key, *ids)
        raise RefusedCall("unauthorized", "the request is not signed")
    signed, signature = _read(headers)
    nonce, expires = _check_window(signed, api_key, keys, now_s)
    expected = hmac.new(secret or _STRANGER, _base(signed, upgrade).encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, signature) or not secret:
        raise _refused("the signature is not that of the API key")
    return Signed(api_key, *ids, nonce=nonce, expires=expires)


def _read(headers: Mapping[str, str]) -> tuple[InnerList, bytes]:
    """The one signature: with several, which one counts would be the sender's choice."""
    try:
        inputs = parse_lists(headers.get("signature-input", ""))
        signatures = parse_bytes(headers.get("signature", ""))
    except BadField as error:
        raise _refused(f"Signature-Input or Signature cannot be read: {error}") from None
    if len(inputs) != 1 or inputs.keys() != signatures.keys():
        raise _refused("Signature-Input and Signature must have one label, the same")
    label = next(iter(inputs))
    return inputs[label], signatures[label]


def _check_window(signed: InnerList, api_key: str, keys: GenesysKeys, now_s: float) -> tuple[str, int]:
    """Nonce and expiry of a signature that is for this key and of this moment."""
    given = signed.parameters
    if not _PARAMETERS.issuperset(given):
        raise _refused("the signature has a parameter that is not known")
    if given.get("keyid") != api_key or given.get("alg", "hmac-sha256") != "hmac-sha256":
        raise _refused("keyid must be the X-API-KEY, and alg hmac-sha256")
    if len(set(signed.items)) != len(signed.items) or not set(COVERED).issubset(signed.items):
        raise _refused("the signature must cover " + ", ".join(COVERED))
    nonce, created, expires = given.get("nonce"), given.get("created"), given.get("expires")
    if not isinstance(nonce, str) or not MIN_NONCE_CHARACTERS <= len(nonce) <= MAX_NONCE_CHARACTERS:
        raise _refused(f"nonce has {MIN_NONCE_CHARACTERS} to {MAX_NONCE_CHARACTERS} characters")
    if not isinstance(created, int) or not isinstance(expires, int | None):
        raise _refused("created is a whole number of seconds, and expires one where it is given")
    if created > now_s + keys.clock_skew_s:
        raise _refused("the signature is from the future; compare the clocks")
    until = created + keys.max_age_s if expires is None else min(created + keys.max_age_s, expires)
    if until + keys.clock_skew_s < now_s:
        raise _refused("the signature has expired; compare the clocks")
    return nonce, int(until + 2 * keys.clock_skew_s) + 1


def _base(signed: InnerList, upgrade: Upgrade) -> str:
    """The signature base (RFC 9421 section 2.5)."""
    public = urlsplit(upgrade.public_url).netloc  # a proxy in front of us may rewrite Host
    known = {
        **upgrade.headers,
        "@request-target": upgrade.path + (f"?{upgrade.query}" if upgrade.query else ""),
        "@authority": (public or upgrade.authority).lower(),
        "@method": upgrade.method,
    }
    lines = []
    for name in signed.items:
        value = known.get(name)
        if not value:
            raise _refused(f"the signature covers {name[:60]!r}, which the request does not have")
        lines.append(f'"{name}": {value.strip()}')
    return "\n".join([*lines, f'"@signature-params": {signed.text}'])


def _refused(why: str) -> RefusedCall:
    return RefusedCall("forged", why)
