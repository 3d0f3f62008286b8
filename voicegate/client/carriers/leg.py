"""The carrier's side of one stream, whichever carrier it is: the shape that all simulators have. PURE."""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np

from audiocodecs import g711
from audiocodecs.pcm import pcm_encode
from voicegate.client.carriers.playout import PlayoutModel
from voicegate.kernel.audio import Frame, Samples

Message: TypeAlias = str | bytes
"""A WebSocket message: text or binary. On AudioSocket bytes of the TCP stream."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the carrier knows of a call."""

    call_id: str
    stream_id: str
    account: str = "simulated-account"
    caller: str = "+15550000001"
    called: str = "+15550000002"
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the answer, or the operator's configuration, asked to be passed on."""


@dataclass(frozen=True, slots=True)
class Tick:
    """20 ms of a call."""

    played: Frame | None
    """Audible to the caller for the next 20 ms; None is silence."""
    messages: list[Message]
    """To the gateway."""


class Leg(Protocol):
    """One stream. A driver calls :meth:`tick` every 20 ms with what the caller said in the 20 ms before."""

    rate_hz: int
    """Of the caller's frames and of what is played."""
    over: str
    """Why the carrier ends the stream; empty while it goes on."""
    playout: PlayoutModel
    dropped: Counter[str]
    """What the gateway sent in vain, by reason."""

    def begin(self) -> list[Message]:
        """The messages after the socket was opened."""
        ...

    def receive(self, message: Message) -> list[Message]:
        """Take a message of the gateway; returns what it is answered with at once."""
        ...

    def tick(self, frame: Frame) -> Tick: ...

    def press(self, digit: str) -> list[Message]:
        """The caller presses a key: ``0-9 * # A-D``."""
        ...

    def hang_up(self) -> list[Message]:
        """The caller hangs up. The carrier closes the socket once :attr:`over` is set."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding on the wire."""

    name: str
    rate_hz: int
    encode: Callable[[Samples], bytes]
    decode: Callable[[bytes], Samples]
    sample_bytes: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of 20 ms."""
        return self.rate_hz // 50 * self.sample_bytes


def codec(name: str, rate_hz: int = 8_000) -> Codec:
    """``pcmu``, ``pcma``, ``pcm16`` (little-endian) or ``l16`` (network byte order, RFC 3551).

    Raises:
        KeyError: another name.
    """
    return {
        "pcmu": Codec("pcmu", rate_hz, g711.ulaw_encode, g711.ulaw_decode, 1),
        "pcma": Codec("pcma", rate_hz, g711.alaw_encode, g711.alaw_decode, 1),
        "pcm16": Codec("pcm16", rate_hz, pcm_encode, lambda data: _linear(data, "<i2"), 2),
        "l16": Codec("l16", rate_hz, lambda samples: pcm_encode(samples, "big"), lambda data: _linear(data, ">i2"), 2),
    }[name]


def _linear(data: bytes, kind: str) -> Samples:
    return np.frombuffer(data[: len(data) & ~1], kind).astype(np.int16)


def to_json(**fields: object) -> str:
    """A JSON object as text."""
    return msgspec.json.encode(fields).decode()


def from_json(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``; None if it is none."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def inner(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object under ``name``; an empty one where there is none."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: object) -> bytes | None:
    """The bytes of standard base64 with padding; None if ``text`` is no such thing."""
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
