"""The messages of AudioHook version "2": reading and checking them. PURE.

Source: the vendor's reference implementation of client and server, which check each other so.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.phone.fields import number_in, object_in, text_in

MAX_TEXT_CHARACTERS: Final = 65_535
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""The conversation of a connection that only tests whether we answer."""
RATE_HZ: Final = 8_000

_ID: Final = re.compile(r"[0-9A-Za-z_.:-]{1,64}")
"""Genesys' ids are UUIDs; that they name the same thing everywhere is what counts."""
_DURATION: Final = re.compile(r"PT((?:\d{0,12}\.)?\d{1,12})S", re.ASCII)
_CLOSE_REASONS: Final = frozenset({"end", "error", "disconnect", "reconnect"})
_MAX_OFFERS: Final = 32


class BadMessage(ValueError):
    """A message whose fields are missing or wrong."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every message of the client has."""

    type: str
    id: str
    seq: int
    serverseq: int
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Media:
    """What the caller's audio comes in: PCMU at 8 kHz."""

    channels: tuple[str, ...]
    """``external`` is the caller, ``internal`` the agent; interleaved sample by sample."""

    @property
    def caller(self) -> int:
        """Which channel is the caller's."""
        return self.channels.index("external")

    def offer(self) -> dict[str, object]:
        """As ``opened`` repeats it."""
        return {"type": "audio", "format": "PCMU", "channels": list(self.channels), "rate": RATE_HZ}


@dataclass(frozen=True, slots=True)
class Open:
    organization_id: str
    conversation_id: str
    participant: Mapping[str, object]
    media: Media | None
    """The best offer; None: none that we can hear."""
    wants_languages: bool


def read_envelope(fields: Mapping[str, object]) -> Envelope:
    """Check what every client message must have.

    Raises:
        BadMessage: a field is missing or wrong.
    """
    seq, serverseq, parameters = fields.get("seq"), fields.get("serverseq"), fields.get("parameters")
    kind, message_id = fields.get("type"), fields.get("id")
    if fields.get("version") != "2" or not isinstance(kind, str) or not isinstance(parameters, dict):
        raise BadMessage("version is '2', type a text, parameters an object")
    if not isinstance(message_id, str) or not _ID.fullmatch(message_id):
        raise BadMessage("id is 1 to 64 letters, digits and _ . : -")
    if not _is_count(seq) or not _is_count(serverseq) or seconds(fields.get("position")) is None:
        raise BadMessage("seq and serverseq are whole numbers from 0, position is a duration")
    assert isinstance(seq, int)
    assert isinstance(serverseq, int)
    return Envelope(kind, message_id, seq, serverseq, parameters)


def read_open(parameters: Mapping[str, object]) -> Open:
    """The parameters of ``open``. Raises BadMessage."""
    ids = [parameters.get(name) for name in ("organizationId", "conversationId")]
    participant, media = object_in(parameters, "participant"), parameters.get("media")
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in [*ids, participant.get("id")]):
        raise BadMessage("open has the ids organizationId, conversationId and participant.id")
    if not isinstance(media, list) or len(media) > _MAX_OFFERS:
        raise BadMessage(f"open offers a list of media, at most {_MAX_OFFERS}")
    return Open(
        str(ids[0]).lower(),
        str(ids[1]).lower(),
        participant,
        _choose(media),
        parameters.get("supportedLanguages") is True,
    )


def read_close(parameters: Mapping[str, object]) -> str:
    """The reason of ``close``. Raises BadMessage."""
    return _checked(parameters, "reason", _CLOSE_REASONS.__contains__)


def read_digit(parameters: Mapping[str, object]) -> str:
    """The key of ``dtmf``. Raises BadMessage."""
    return _checked(parameters, "digit", frozenset("0123456789*#ABCD").__contains__)


def read_error(parameters: Mapping[str, object]) -> tuple[int, float | None]:
    """Code and, where it has one, ``retryAfter`` in seconds, of ``error``. Raises BadMessage."""
    code = number_in(parameters, "code")
    if code is None or not 400 <= code < 10_000 or not isinstance(parameters.get("message"), str):
        raise BadMessage("error has a code from 400 and a message")
    return code, seconds(parameters.get("retryAfter"))


def check_span(parameters: Mapping[str, object]) -> None:
    """``start`` and ``discarded`` of ``resumed`` and ``discarded``. Raises BadMessage."""
    if seconds(parameters.get("start")) is None or seconds(parameters.get("discarded")) is None:
        raise BadMessage("start and discarded are durations")


def seconds(duration: object) -> float | None:
    """``PT12.5S`` as seconds; None where it is no such duration."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    return float(found.group(1)) if found else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _checked(parameters: Mapping[str, object], name: str, allowed: Callable[[str], bool]) -> str:
    value = text_in(parameters, name)
    if not allowed(value):
        raise BadMessage(f"{name} has a value that is not known")
    return value


def _choose(offers: Sequence[object]) -> Media | None:
    """PCMU with the caller's channel; the caller alone before both."""
    usable = [Media(tuple(each["channels"])) for each in offers if isinstance(each, dict) and _is_usable(each)]
    return min(usable, key=lambda media: len(media.channels), default=None)


def _is_usable(offer: Mapping[str, object]) -> bool:
    channels = offer.get("channels")
    return (
        offer.get("type") == "audio"
        and offer.get("format") == "PCMU"
        and offer.get("rate") == RATE_HZ
        and channels in (["external"], ["external", "internal"], ["internal", "external"])
    )
