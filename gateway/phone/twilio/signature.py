"""Twilio's request signature. PURE.

``X-Twilio-Signature`` is base64 of HMAC-SHA1, keyed with the account's auth token, over the full URL followed by every
POST field's name and value, sorted by name. An upgrade to a WebSocket has no fields, and its URL is the ``wss://`` one
that the TwiML gave. Source: Twilio, "Webhooks Security".

Twilio writes the port or leaves it out, and a slash at the end comes and goes with proxies, so every such variant of
our own public URL is tried. What a request says about its host is never used.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit, urlunsplit

_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def sign(auth_token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """The signature of a request. Fields that come twice with the same value count once."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    mac = hmac.new(auth_token.encode(), text.encode(errors="surrogatepass"), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode()


def is_signed(auth_token: str, url: str, fields: Sequence[tuple[str, str]], signature: str) -> bool:
    """Whether ``signature`` is one for ``url`` in any of its variants. False without an auth token: fail closed."""
    if not auth_token:
        return False
    given = signature.encode(errors="surrogatepass")
    good = False
    for variant in variants(url):  # no early exit: the time taken must not tell which variant was near
        good |= hmac.compare_digest(sign(auth_token, variant, fields).encode(), given)
    return good


def variants(url: str) -> list[str]:
    """``url`` with and without its scheme's port, with and without a slash at the end of its path."""
    parts = urlsplit(url)
    bare = parts.netloc
    port = _PORTS.get(parts.scheme)
    host, colon, given = bare.rpartition(":")
    if colon and given == str(port):
        bare = host
    hosts = [parts.netloc, bare]
    if port is not None and ":" not in bare.rpartition("]")[2]:
        hosts.append(f"{bare}:{port}")
    path = parts.path.rstrip("/")
    paths = [parts.path, path, path + "/"]
    return list(dict.fromkeys(urlunsplit(parts._replace(netloc=host, path=path)) for host in hosts for path in paths))
