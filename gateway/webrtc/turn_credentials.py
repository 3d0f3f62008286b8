"""ICE servers for a caller, as ``Link`` headers (RFC 9725 section 4.5), with short-lived TURN credentials. Pure.

A TURN server that shares a secret with us accepts ``<expiry>:<name>`` with the base64 of its HMAC-SHA1 under that
secret as a password (draft-uberti-behave-turn-rest-00; coturn's ``use-auth-secret``). So no password is stored, and a
leaked one is worth nothing after an hour.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TurnCredentials:
    username: str
    password: str = field(repr=False)


def turn_credentials(secret: str, name: str, *, now_s: float, good_for_s: float) -> TurnCredentials:
    """Credentials until ``now_s + good_for_s`` (seconds since the epoch). ``name`` is for the server's log."""
    username = f"{int(now_s + good_for_s)}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return TurnCredentials(username, base64.b64encode(digest).decode())


def ice_server_links(urls: Sequence[str], credentials: TurnCredentials | None) -> Iterator[str]:
    """One ``Link`` value a server. TURN servers without credentials are left out: nobody could use them."""
    for url in urls:
        if url.startswith(("stun:", "stuns:")):
            yield f'<{url}>; rel="ice-server"'
        elif credentials is not None:
            yield (
                f'<{url}>; rel="ice-server"; username="{credentials.username}"; '
                f'credential="{credentials.password}"; credential-type="password"'
            )
