"""What :mod:`gateway.websocket.protocol` tells its driver to do: one closed union."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.close_codes import CloseCode
from gateway.websocket.messages import Format


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a call, then tell the protocol by ``joined``."""

    input: Format
    output: Format
    agent: str = ""
    greeting: bool = True
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resume:
    """Continue a call, then tell the protocol by ``joined``."""

    input: Format
    output: Format
    secret: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Audio:
    """Bytes in the negotiated input format; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndUtterance:
    """No more audio will come for this utterance."""


@dataclass(frozen=True, slots=True)
class TypeText:
    text: str


@dataclass(frozen=True, slots=True)
class PressKeys:
    digits: str
    """1 to 32 of ``0-9 * # A-D``."""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """The caller stopped the agent's reply."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The client ended the call: close with 1000 once its last events are out; nothing follows."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a text message."""

    data: bytes
    """UTF-8 JSON."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send the ``error`` message ``data`` and count ``code``."""

    code: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket; nothing follows."""

    code: CloseCode
    reason: str


Command: TypeAlias = (
    Begin | Resume | Audio | EndUtterance | TypeText | PressKeys | CancelReply | HangUp | Send | Refuse | Close
)
