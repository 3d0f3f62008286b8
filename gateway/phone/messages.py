"""The words of a phone bridge: what comes out of a carrier's wire, and what goes into it. PURE.

A carrier's protocol (:mod:`gateway.phone.protocol`) makes :data:`Step` of every message: facts in the past tense, which
the driver acts on, and sends, which the driver performs at once and in order. Those that come or go many times a second
are structs of msgspec, which cost a third of a frozen dataclass to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

Direction: TypeAlias = Literal["inbound", "outbound", ""]
"""Who dialled: the person, or we. Empty: the carrier does not say."""


class ProtocolViolation(Exception):
    """The peer broke the protocol in a way that ends the connection.

    ``code`` is stable, in snake case, and counted (``not_json``, ``missing_field``, ``foreign_stream``, ``bad_seq`` …);
    the message names what was wrong, never what was said. ``last_words`` go out before the close.
    """

    def __init__(self, code: str, message: str, *, last_words: "tuple[Send, ...]" = ()) -> None:
        super().__init__(message)
        self.code = code
        self.last_words = last_words


@dataclass(frozen=True, slots=True)
class Once:
    """A proof that is good once: who took it remembers ``key`` until ``expires``, and refuses it the second time."""

    key: str
    """A nonce or a token's id, with the carrier's name before it."""
    expires: int
    """Seconds since the epoch; after it the proof is stale anyway."""


# --- what goes out ---


class SendText(msgspec.Struct, frozen=True, gc=False):
    """A text message."""

    data: bytes
    """UTF-8."""


class SendBinary(msgspec.Struct, frozen=True, gc=False):
    """A binary message; on a bare TCP line, bytes."""

    data: bytes


Send: TypeAlias = SendText | SendBinary


# --- what came in ---


@dataclass(frozen=True, slots=True)
class PhoneFormat:
    """Mono audio on the wire: a name and a rate of :data:`audiocodecs.registry.FORMATS`."""

    encoding: str
    """``pcmu``, ``pcma``, ``pcm16`` (little-endian), ``l16`` (network order) or ``opus``."""
    rate_hz: int

    def __str__(self) -> str:
        return f"{self.encoding}/{self.rate_hz}"


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """Which call it is."""

    provider: str
    call_id: str
    """The carrier's name of the call: what its REST API and its webhooks call it."""
    stream_id: str = ""
    """The carrier's name of this audio stream, where it differs."""
    account_id: str = ""
    caller: str = ""
    """Number or name of who called, as the carrier writes it."""
    called: str = ""
    direction: Direction = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Custom parameters, without the token."""
    token: str = field(default="", repr=False)
    """The capability that our answer gave out, where it comes back in the start message."""


@dataclass(frozen=True, slots=True)
class Began:
    """The stream is open. Exactly once, before any other fact but :class:`Ignored`."""

    call: PhoneCall
    heard: PhoneFormat
    """What the caller's audio comes in."""
    spoken: PhoneFormat
    """What the carrier wants to get."""


class Audio(msgspec.Struct, frozen=True, gc=False):
    """The caller's audio, in order: the protocol has reordered, and dropped the other track."""

    data: bytes
    """Payload in the format ``heard``; for ``opus`` one packet. Never empty."""
    at_ms: int | None = None
    """Where its first sample lies on the carrier's clock, milliseconds since the stream's start; None: not told, it
    follows what came before."""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    digit: str
    """One of ``0-9 * # A-D``."""


class MarkReturned(msgspec.Struct, frozen=True, gc=False):
    """Everything that was sent before this mark has been played, or thrown away by a clear."""

    name: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Everything that was sent has been played."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The peer has thrown away what it had not played."""


@dataclass(frozen=True, slots=True)
class PeerPaused:
    """Send no audio until :class:`PeerResumed`: the peer's queue is full, or the call is on hold."""

    bound_s: float = 30.0
    """Go on after this time, whatever the peer says."""


@dataclass(frozen=True, slots=True)
class PeerResumed: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """The carrier says that the call, or the stream, is over. Nothing follows."""

    reason: str
    """In snake case: ``caller``, ``error``, ``reconnect`` …"""
    resumable: bool = False
    """The carrier will come back with the same call: keep it for its resume window."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that has no effect; counted under ``code``."""

    code: str


Fact: TypeAlias = (
    Began | Audio | KeyPressed | MarkReturned | Drained | Cleared | PeerPaused | PeerResumed | Ended | Ignored
)
Step: TypeAlias = Fact | Send
