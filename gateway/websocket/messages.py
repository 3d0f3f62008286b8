"""The text messages of ``voice.v1`` that are not events: a client's commands and our answers, as strict structs.

JSON objects in camelCase with a ``type``. Unknown fields are refused, so that a misspelled option is noticed. Our
answers never carry ``seq``; that is how a client tells them from events (:mod:`voicegate.kernel.events`).
"""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec


class Format(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An audio format. ``rate`` 0 means the encoding's first rate."""

    encoding: str = "pcm16"
    rate: int = 0


class _Command(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Fields of every command: none."""


class SessionStart(_Command, frozen=True, tag="session.start"):
    input: Format = Format()
    output: Format = Format()
    agent: str = ""
    greeting: bool = True
    context: dict[str, str] = {}


class SessionResume(_Command, frozen=True, tag="session.resume"):
    last_seq: int
    secret: str
    input: Format = Format()
    output: Format = Format()


class UtteranceEnd(_Command, frozen=True, tag="utterance.end"):
    pass


class Text(_Command, frozen=True, tag="text"):
    text: str


class Dtmf(_Command, frozen=True, tag="dtmf"):
    digits: str


class ReplyCancel(_Command, frozen=True, tag="reply.cancel"):
    pass


class Ping(_Command, frozen=True, tag="ping"):
    id: str | int = ""


class SessionEnd(_Command, frozen=True, tag="session.end"):
    pass


Message: TypeAlias = SessionStart | SessionResume | UtteranceEnd | Text | Dtmf | ReplyCancel | Ping | SessionEnd

TYPES = frozenset(
    {
        "session.start",
        "session.resume",
        "utterance.end",
        "text",
        "dtmf",
        "reply.cancel",
        "ping",
        "session.end",
    }
)


class Welcome(msgspec.Struct, frozen=True, rename="camel", tag="session.welcome"):
    session_id: str
    resume_secret: str
    input: Format
    output: Format
    resumed: bool


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    id: str | int


class Error(msgspec.Struct, frozen=True, tag="error"):
    """A message that was refused. The call goes on."""

    code: str
    message: str
    allowed: list[str]


class ConnectionNotice(msgspec.Struct, frozen=True, tag="notice"):
    """Something about this connection, not about the call: ``playout_paused``, ``playout_resumed``."""

    code: str
    message: str


Answer: TypeAlias = Welcome | Pong | Error | ConnectionNotice


@dataclass(frozen=True, slots=True)
class NotJson:
    """Not a JSON object with a string ``type``."""


@dataclass(frozen=True, slots=True)
class UnknownType:
    type: str


@dataclass(frozen=True, slots=True)
class WrongFields:
    type: str
    why: str


class _Head(msgspec.Struct, frozen=True):
    type: str


_head_decoder = msgspec.json.Decoder(_Head)
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def parse(text: str) -> Message | NotJson | UnknownType | WrongFields:
    """Read one text message. Never raises, whatever the text."""
    try:
        name = _head_decoder.decode(text).type
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return NotJson()
    if name not in TYPES:
        return UnknownType(name)
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        return WrongFields(name, str(error))


def encode(answer: Answer) -> bytes:
    """The answer as UTF-8 JSON."""
    return _encoder.encode(answer)
