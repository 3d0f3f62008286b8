"""Telnyx's webhook signature. PURE.

``telnyx-signature-ed25519`` is base64 of an Ed25519 signature (RFC 8032) over ``<telnyx-timestamp>|<body>``, by the
account's public key, which the portal shows in base64. Source: Telnyx, "Webhook fundamentals: signing".
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voicegate.kernel.errors import ConfigError

STALE_S: Final = 300.0
"""Age, or lead, at which a signed webhook is refused: what Telnyx's own libraries allow."""


def read_public_key(text: str) -> Ed25519PublicKey | None:
    """The key as the portal shows it; None for an empty text.

    Raises:
        ConfigError: not 32 bytes in base64.
    """
    if not text:
        return None
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise ConfigError("the Telnyx public key is 32 bytes in base64, as the portal shows it") from error


def is_signed(key: Ed25519PublicKey | None, timestamp: str, body: bytes, signature: str, now_s: float) -> bool:
    """Whether ``signature`` is one of ``body``, less than :data:`STALE_S` old. False without a key: fail closed."""
    if key is None or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        return False
    if abs(now_s - int(timestamp)) > STALE_S:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
