"""Plivo's request signature, version 3. PURE.

``X-Plivo-Signature-V3`` is one or more base64 texts, separated by commas: HMAC-SHA256, keyed with an auth token, over
the URL with its query sorted, the POST fields sorted, and the nonce of ``X-Plivo-Signature-V3-Nonce``. Source: Plivo,
"Validating requests from Plivo".
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit, urlunsplit


def sign(auth_token: str, url: str, fields: Sequence[tuple[str, str]], nonce: str) -> str:
    """The signature of a request; ``fields`` are those of a POST."""
    text = f"{_signed_url(url, bool(fields))}{''.join(name + value for name, value in sorted(fields))}.{nonce}"
    mac = hmac.new(auth_token.encode(), text.encode(errors="surrogatepass"), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def is_signed(auth_token: str, url: str, fields: Sequence[tuple[str, str]], nonce: str, signatures: str) -> bool:
    """Whether one of ``signatures`` is right. False without an auth token or a nonce: fail closed."""
    if not (auth_token and nonce):
        return False
    wanted = sign(auth_token, url, fields, nonce).encode()
    good = False
    for each in signatures.split(",")[:10]:  # no early exit: the time taken must not tell which one was near
        good |= hmac.compare_digest(wanted, each.strip().encode(errors="surrogatepass"))
    return good


def _signed_url(url: str, with_fields: bool) -> str:
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    # The point stands between query and fields: without a query Plivo's own code leaves it out, but not the mark.
    return bare + (f"?{query}" if query or with_fields else "") + ("." if query and with_fields else "")
