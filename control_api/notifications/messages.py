"""What is said on ``WS /notifications``. PURE.

The client says who it is, in its first message or by a subprotocol, and never in the address, which is logged on the
way. A message is JSON in a text frame.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

SUBPROTOCOL: Final = "voicegate.notifications.v1"
BEARER: Final = "bearer."
"""A subprotocol that begins with it carries a token (RFC 6455, 1.9, lets a client offer what it likes)."""
MALFORMED, UNAUTHORIZED, FORBIDDEN, LATE, SLOW, MANY, UNAVAILABLE = 4400, 4401, 4403, 4408, 4490, 4429, 1013
MEANINGS: Final = {
    MALFORMED: "This message is not one of ours.",
    UNAUTHORIZED: "The token is not good, or good no more.",
    FORBIDDEN: "It needs the permission notifications:read.",
    LATE: "Nobody said who it is.",
    SLOW: "You do not keep up: come back with lastEventId.",
    MANY: "Too many connections.",
    UNAVAILABLE: "The state store is away: come back with lastEventId.",
}
"""Close codes: of the range that RFC 6455, 7.4.2, leaves to applications, those that the gateway uses; and 1013."""

_ID = re.compile(r"\d{1,15}-\d{1,10}")


class Authenticate(msgspec.Struct, frozen=True, rename="camel", tag="authenticate", forbid_unknown_fields=True):
    """Who speaks. A later one brings a fresh token of the same person."""

    token: str
    last_event_id: str = ""
    """What comes after this is wanted. Empty: what comes from now on."""


class Malformed(Exception):
    """It is none of the client's messages."""


_decoder = msgspec.json.Decoder(Authenticate)


def read(text: str | None) -> Authenticate:
    """Raises Malformed."""
    if text is None:
        raise Malformed
    try:
        said = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Malformed from None
    if said.last_event_id:
        position(said.last_event_id)
    return said


def position(event_id: str) -> tuple[int, int]:
    """An id as what it is compared by. Raises Malformed."""
    if not _ID.fullmatch(event_id):
        raise Malformed
    milliseconds, number = event_id.split("-")
    return int(milliseconds), int(number)


def offered_token(subprotocols: Sequence[str]) -> str:
    """The token among the subprotocols; empty if there is none."""
    return next((each.removeprefix(BEARER) for each in subprotocols if each.startswith(BEARER)), "")


def ready(last_event_id: str, *, complete: bool) -> str:
    """``complete``: all that came after the client's last event follows; else some of it may be forgotten."""
    return msgspec.json.encode({"type": "ready", "lastEventId": last_event_id, "complete": complete}).decode()


def notification(event_id: str, payload: bytes) -> str:
    """What was told, with its id."""
    return f'{{"id":"{event_id}",{payload.decode()[1:]}'


def kind_of(payload: bytes) -> str:
    """What kind of notification it is; empty if that cannot be told."""
    try:
        return msgspec.json.decode(payload, type=_Kind).type
    except msgspec.DecodeError:
        return ""


def service(code: str, message: str, at: str) -> str:
    """Something that the API needs is away, or back. It has no id, and is not told again."""
    data = {"type": "service", "at": at, "data": {"code": code, "message": message}}
    return msgspec.json.encode(data).decode()


def heartbeat(at: str) -> str:
    """The connection lives: a page cannot see the pings below."""
    return msgspec.json.encode({"type": "heartbeat", "at": at}).decode()


class _Kind(msgspec.Struct):
    type: str
