"""Basic authentication of a request (RFC 7617): what private exchanges have instead of signatures. PURE."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final

from voicegate.kernel.errors import RefusedCall

_MAX_CHARACTERS: Final = 1_024


def vouched(headers: Mapping[str, str], expected: str) -> bool:
    """Whether a request has the user and password ``expected`` (``user:password``); False where none are expected.
    ``headers`` have names in lower case.

    Raises:
        RefusedCall: ``unauthorized`` (it has none), ``forged`` (they are wrong).
    """
    if not expected:
        return False
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise RefusedCall("unauthorized", "the request needs basic authentication")
    try:
        given = base64.b64decode(encoded.strip()[:_MAX_CHARACTERS], validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if not hmac.compare_digest(given, expected.encode()):
        raise RefusedCall("forged", "user or password are wrong")
    return True
