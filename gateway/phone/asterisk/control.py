"""The control text of Asterisk's WebSocket channel, JSON and plain. PURE.

Source: Asterisk documentation, "WebSocket channel driver", and ``channels/chan_websocket.c``. Plain text is a name and
words: ``key:value`` in most events, a bare id in those of marks and buffering. Which of the two it is, the channel
chooses; we answer in kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.phone.fields import read_object, text_in
from gateway.phone.messages import ProtocolViolation, SendText

MAX_COMMAND_BYTES: Final = 128
"""Asterisk drops longer text without a word."""
MAX_EVENT_CHARACTERS: Final = 65_500
_BARE: Final = frozenset({"MEDIA_MARK_PROCESSED", "MEDIA_BUFFERING_COMPLETED"})
_NAME_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")


@dataclass(frozen=True, slots=True)
class ControlEvent:
    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    as_json: bool = False


def read_event(text: str) -> ControlEvent:
    """One event.

    Raises:
        ProtocolViolation: ``not_json`` (it began as JSON), ``bad_message`` (it has no name), ``too_big``.
    """
    if len(text) > MAX_EVENT_CHARACTERS:
        raise ProtocolViolation("too_big", f"an event has at most {MAX_EVENT_CHARACTERS} characters")
    if text.lstrip().startswith("{"):
        fields = read_object(text)
        return ControlEvent(_checked(text_in(fields, "event")), fields, as_json=True)
    name, *words = text.split()[:64] or [""]
    return ControlEvent(_checked(name), _plain(name, words))


def command(name: str, correlation_id: str = "", *, as_json: bool) -> SendText:
    """One command. Raises ValueError where Asterisk would drop it for its length."""
    if as_json:
        fields = {"command": name} | ({"correlation_id": correlation_id} if correlation_id else {})
        data = msgspec.json.encode(fields)
    else:
        data = f"{name} {correlation_id}".rstrip().encode()
    if len(data) > MAX_COMMAND_BYTES:
        raise ValueError(f"a command has at most {MAX_COMMAND_BYTES} bytes")
    return SendText(data)


def _checked(name: str) -> str:
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise ProtocolViolation("bad_message", "an event has a name in capitals")
    return name


def _plain(name: str, words: list[str]) -> dict[str, object]:
    pairs = (word.partition(":") for word in words)
    fields: dict[str, object] = {key: value for key, colon, value in pairs if colon}
    if name in _BARE and words and "correlation_id" not in fields:
        fields["correlation_id"] = words[0]
    return fields
