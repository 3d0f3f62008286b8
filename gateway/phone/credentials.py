"""Basic authentication of an upgrade (RFC 7617): what private exchanges have instead of signatures. PURE."""

import base64
import binascii
import hmac
from typing import Final

from gateway.phone.protocol import Upgrade
from voicegate.kernel.errors import RefusedCall

_MAX_CHARACTERS: Final = 1_024


def vouched(upgrade: Upgrade, expected: str) -> bool:
    """Whether the upgrade has the user and password ``expected`` (``user:password``); False where none are expected.

    Raises:
        RefusedCall: ``unauthorized`` (it has none), ``forged`` (they are wrong).
    """
    if not expected:
        return False
    scheme, _, encoded = upgrade.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise RefusedCall("unauthorized", "the connection needs basic authentication")
    try:
        given = base64.b64decode(encoded.strip()[:_MAX_CHARACTERS], validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if not hmac.compare_digest(given, expected.encode()):
        raise RefusedCall("forged", "user or password are wrong")
    return True
