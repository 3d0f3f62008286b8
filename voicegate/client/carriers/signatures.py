"""How carriers sign what they send: each rule written from the vendor's document. PURE.

Sources: Twilio "Validating requests", Plivo "Signature V3", Telnyx "Webhook signing", Vonage "Signed webhooks", Genesys
"AudioHook authentication" (HTTP message signatures).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

GENESYS_COMPONENTS = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
_EXPIRES_S = 30


def twilio(auth_token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """``X-Twilio-Signature`` of a request to ``url`` (of a WebSocket: its ``wss://`` address, and no form)."""
    text = url + "".join(name + value for name, value in sorted((form or {}).items()))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


def plivo(auth_token: str, url: str, form: Mapping[str, str], nonce: str) -> str:
    """``X-Plivo-Signature-V3`` of a POST to ``url``: query and form in the order of their names."""
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    query = sorted(part.partition("=")[::2] for part in parts.query.split("&") if part)
    if query or form:
        base += "?" + "&".join(f"{name}={value}" for name, value in query)
    if form:
        base += ("." if query else "") + "".join(name + value for name, value in sorted(form.items()))
    return base64.b64encode(hmac.digest(auth_token.encode(), f"{base}.{nonce}".encode(), "sha256")).decode()


def telnyx(private_key: bytes, timestamp: str, body: bytes) -> str:
    """``telnyx-signature-ed25519``; ``private_key`` are the 32 bytes of the key, ``timestamp`` whole Unix seconds."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    return base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()


def vonage(secret: str, body: bytes, *, issued_at: int, token_id: str, application: str) -> str:
    """The bearer token of a webhook: a JWT (RFC 7519) by HS256 with the hash of the body."""
    claims = {
        "iat": issued_at,
        "jti": token_id,
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": "simulated",
        "application_id": application,
    }
    head = _base64url(msgspec.json.encode({"alg": "HS256", "typ": "JWT"}))
    signed = head + "." + _base64url(msgspec.json.encode(claims))
    return signed + "." + _base64url(hmac.digest(secret.encode(), signed.encode(), "sha256"))


def genesys(
    client_secret: str, headers: Mapping[str, str], url: str, *, key: str, nonce: str, created: int
) -> dict[str, str]:
    """``Signature-Input`` and ``Signature`` of the upgrade; ``client_secret`` is base64, names of headers are small."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    values = {"@request-target": target, "@authority": parts.netloc, **headers}
    listed = " ".join(f'"{name}"' for name in GENESYS_COMPONENTS)
    times = f"created={created};expires={created + _EXPIRES_S}"
    parameters = f'({listed});keyid="{key}";nonce="{nonce}";alg="hmac-sha256";{times}'
    lines = [f'"{name}": {values[name]}' for name in GENESYS_COMPONENTS]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signature = hmac.digest(base64.b64decode(client_secret), base.encode(), "sha256")
    return {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{base64.b64encode(signature).decode()}:"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
