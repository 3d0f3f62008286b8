"""Reading JSON that a stranger wrote: objects and their fields, with bounds. PURE."""

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from gateway.phone.messages import Direction, ProtocolViolation

KEYS: Final = frozenset("0123456789*#ABCD")
"""Keys of a phone (ITU-T Q.23)."""
MAX_FIELD_CHARACTERS: Final = 256
"""Longest id, number or parameter that is kept (our choice; SIP URIs and UUIDs fit)."""
MAX_PARAMETERS: Final = 32
MAX_NAME_CHARACTERS: Final = 64

_decoder = msgspec.json.Decoder(dict[str, object])


def read_object(text: str) -> dict[str, object]:
    """The JSON object in ``text``.

    Raises:
        ProtocolViolation: ``not_json``.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise ProtocolViolation("not_json", "a text message must be a JSON object") from None


def object_in(fields: Mapping[str, object], name: str) -> dict[str, object]:
    """The object at ``name``; empty where there is none."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def text_in(fields: Mapping[str, object], *names: str) -> str:
    """The first non-empty text among ``names``, cut at :data:`MAX_FIELD_CHARACTERS`; numbers as text; else empty."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            return str(value)[:MAX_FIELD_CHARACTERS]
    return ""


def number_in(fields: Mapping[str, object], name: str) -> int | None:
    """The whole number at ``name``, given as a number or as digits."""
    value = fields.get(name)
    if isinstance(value, str) and len(value) <= 16 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def direction_in(fields: Mapping[str, object], name: str) -> Direction:
    """Who dialled, where ``name`` says so."""
    match fields.get(name):
        case "inbound":
            return "inbound"
        case "outbound":
            return "outbound"
        case _:
            return ""


def key_in(fields: Mapping[str, object], *names: str) -> str:
    """The DTMF key among ``names``, in capitals; empty where it is none."""
    key = text_in(fields, *names).upper()
    return key if key in KEYS else ""


def parameters_in(fields: Mapping[str, object], *, without: Collection[str] = ()) -> dict[str, str]:
    """What has a short name and a value that is text, a number or a truth: at most :data:`MAX_PARAMETERS`."""
    found: dict[str, str] = {}
    for name, value in fields.items():
        if name in without or not 0 < len(name) <= MAX_NAME_CHARACTERS or len(found) == MAX_PARAMETERS:
            continue
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            found[name] = str(value)[:MAX_FIELD_CHARACTERS]
    return found


def query_in(query: str) -> dict[str, str]:
    """The fields of an address's query (without its question mark); nothing where there are too many."""
    try:
        return dict(parse_qsl(query, max_num_fields=2 * MAX_PARAMETERS))
    except ValueError:
        return {}
