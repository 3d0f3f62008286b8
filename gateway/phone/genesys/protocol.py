"""Genesys AudioHook version "2", the Audio Connector's side of a bot, as a state machine without I/O. PURE.

Source: the vendor's reference implementation. Text messages are numbered in both directions, without a gap; binary
messages are PCMU at 8 kHz. What breaks a rule is answered by ``disconnect`` with the reason ``error``, as the reference
server does. A connection for the conversation of nobody is a probe: it is answered, and no call begins.

::

    NEW --open--> OPENING --accepted()--> ACTIVE <--paused, resumed--> PAUSED
     |                                       |
     +--open of nobody--> PROBE              +--hang_up()--> LEAVING
    any --close--> CLOSED        any --a broken rule--> BROKEN
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import msgspec

from gateway.phone.fields import object_in, parameters_in, read_object, text_in
from gateway.phone.genesys import messages as wire
from gateway.phone.messages import (
    Audio,
    Began,
    Drained,
    Ended,
    Ignored,
    KeyPressed,
    PeerPaused,
    PeerResumed,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    Send,
    SendBinary,
    SendText,
    Step,
)
from gateway.phone.protocol import Traits

NAME: Final = "genesys"
MAX_AUDIO_BYTES: Final = 64_000
"""Most audio in one message to Genesys."""
MAX_PAUSE_S: Final = 300.0
_REFUSALS: Final = frozenset({"unauthorized", "forged", "forbidden", "token_used"})
_FORMAT: Final = PhoneFormat("pcmu", wire.RATE_HZ)
_ENDS: Final[Mapping[str, Ended]] = {
    "end": Ended("caller"),
    "disconnect": Ended("hung_up"),
    "error": Ended("error"),
    "reconnect": Ended("reconnect", resumable=True),
}


@dataclass(frozen=True, slots=True)
class Opening:
    """What the upgrade said of the session that will open."""

    session_id: str = ""
    """Empty: the first message says it."""
    organization_id: str = ""
    """Empty: not compared."""


class _State(Enum):
    NEW = auto()
    OPENING = auto()
    ACTIVE = auto()
    PAUSED = auto()
    PROBE = auto()
    LEAVING = auto()
    CLOSED = auto()
    BROKEN = auto()


class GenesysProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`)."""

    def __init__(self, opening: Opening, *, packet_ms: int = 200) -> None:
        """``packet_ms``: audio in one message; Genesys counts messages against a limit."""
        self._opening = opening
        self._id = "" if opening.session_id == wire.NOBODY else opening.session_id.lower()
        self._state = _State.NEW
        self._seq = 0
        self._client_seq = 0
        self._opened: dict[str, object] = {}
        self._media = wire.Media(("external",))
        self.traits = Traits(
            buffers=True, has_clear=True, has_marks=False, packet_ms=packet_ms, handshake_s=5.0, farewell_s=10.0
        )

    def connected(self) -> Sequence[Send]:
        return []

    def receive_text(self, text: str) -> Sequence[Step]:
        if self._state is _State.BROKEN:
            return [Ended("error")]  # the peer has heard our last words: nothing else is to be said
        if len(text) > wire.MAX_TEXT_CHARACTERS:
            raise self._broken("too_big", f"a text message has at most {wire.MAX_TEXT_CHARACTERS} characters")
        try:
            fields = read_object(text)
        except ProtocolViolation as violation:
            raise self._broken(violation.code, str(violation)) from None
        try:
            envelope = wire.read_envelope(fields)
            self._count(envelope)
            return self._take(envelope)
        except wire.BadMessage as error:
            raise self._broken("bad_message", str(error)) from None

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        match self._state:
            case _State.ACTIVE if len(data) % len(self._media.channels):
                raise self._broken("bad_audio", "a message of two channels has as many samples of each")
            case _State.ACTIVE if data:
                return [Audio(data[self._media.caller :: len(self._media.channels)])]
            case _State.ACTIVE:
                return [Ignored("empty_audio")]
            case _State.PROBE | _State.LEAVING | _State.CLOSED | _State.BROKEN:
                return [Ignored("after_end")]
            case _:
                raise self._broken("wrong_order", f"audio came in the state {self._state.name}")

    def accepted(self) -> Sequence[Send]:
        if self._state is not _State.OPENING:
            return []  # the peer has closed meanwhile
        self._state = _State.ACTIVE
        return [self._say("opened", self._opened)]

    def refused(self, code: str) -> Sequence[Send]:
        return self._disconnect("unauthorized" if code in _REFUSALS else "error", code)

    def play(self, packet: bytes) -> Sequence[Send]:
        if self._state is not _State.ACTIVE:
            return []
        pieces = range(0, len(packet), MAX_AUDIO_BYTES)
        return [SendBinary(packet[at : at + MAX_AUDIO_BYTES]) for at in pieces]

    def mark(self, name: str) -> Sequence[Send]:
        return []

    def clear(self) -> Sequence[Send]:
        if self._state not in (_State.ACTIVE, _State.PAUSED):
            return []
        return [self._say("event", {"entities": [{"type": "barge_in", "data": {}}]})]

    def press_keys(self, digits: str) -> Sequence[Send]:
        return []

    def hang_up(self, reason: str) -> Sequence[Send]:
        return self._disconnect("completed", reason)

    def _count(self, envelope: wire.Envelope) -> None:
        """The rules of the envelope: no gap, nothing acknowledged that was not said, one session."""
        if envelope.seq != self._client_seq + 1:
            raise self._broken("bad_seq", f"seq is {envelope.seq}, expected was {self._client_seq + 1}")
        self._client_seq = envelope.seq
        if envelope.serverseq > self._seq:
            raise self._broken("bad_seq", f"serverseq is {envelope.serverseq}, sent were {self._seq}")
        self._id = self._id or envelope.id.lower()
        if envelope.id.lower() != self._id:
            raise self._broken("foreign_stream", "the id is that of another session")

    def _take(self, envelope: wire.Envelope) -> Sequence[Step]:
        parameters = envelope.parameters
        match envelope.type:
            case "close":
                return self._close(wire.read_close(parameters))
            case _ if self._state is _State.CLOSED:
                return [Ignored("after_end")]
            case "ping":
                return [self._say("pong", {})]
            case "error":
                return self._complain(*wire.read_error(parameters))
            case "open":
                return self._open(wire.read_open(parameters), parameters)
            case "dtmf":
                key = wire.read_digit(parameters)
                return [KeyPressed(key) if self._state in (_State.ACTIVE, _State.PAUSED) else Ignored("wrong_order")]
            case "paused" | "resumed":
                return self._hold(envelope)
            case "playback_completed":
                return [Drained()]
            case "playback_started":
                return [Ignored(envelope.type)]
            case "discarded":
                wire.check_span(parameters)
                return [Ignored("discarded")]
            case "update":
                return [self._say("updated", {})]
            case _:
                return [Ignored("unknown_type")]

    def _open(self, wanted: wire.Open, parameters: Mapping[str, object]) -> Sequence[Step]:
        if self._state is not _State.NEW:
            raise self._broken("second_start", "open came twice")
        expected = self._opening.organization_id.lower()
        if expected and wanted.organization_id != expected:
            raise self._broken("foreign_stream", "organizationId is not that of the upgrade", reason="unauthorized")
        offers = [wanted.media.offer()] if wanted.media else []
        self._opened = {"media": offers, "startPaused": False}
        if wanted.wants_languages:
            self._opened["supportedLanguages"] = []
        if wanted.conversation_id == wire.NOBODY:
            self._state = _State.PROBE
            return [Ignored("probe"), self._say("opened", self._opened)]
        if wanted.media is None:
            raise self._broken("bad_format", "none of the media is PCMU at 8000 Hz with the external channel")
        self._media = wanted.media
        self._state = _State.OPENING
        return [Began(self._call(wanted, parameters), _FORMAT, _FORMAT)]

    def _call(self, wanted: wire.Open, parameters: Mapping[str, object]) -> PhoneCall:
        language = text_in(parameters, "language")
        return PhoneCall(
            NAME,
            wanted.conversation_id,
            stream_id=self._id,
            account_id=wanted.organization_id,
            caller=text_in(wanted.participant, "ani"),
            called=text_in(wanted.participant, "dnis"),
            parameters=parameters_in(
                {
                    **object_in(parameters, "customConfig"),
                    **object_in(parameters, "inputVariables"),
                    **({"language": language} if language else {}),
                }
            ),
        )

    def _hold(self, envelope: wire.Envelope) -> Sequence[Step]:
        match envelope.type, self._state:
            case "paused", _State.ACTIVE:
                self._state = _State.PAUSED
                return [PeerPaused(MAX_PAUSE_S)]
            case "resumed", _State.PAUSED:
                wire.check_span(envelope.parameters)
                self._state = _State.ACTIVE
                return [PeerResumed()]
            case _:
                return [Ignored("wrong_order")]

    def _complain(self, code: int, retry_after_s: float | None) -> Sequence[Step]:
        """The peer says what it did not like. At a rate limit it wants a rest; after the others it closes, or not."""
        if code == 429 and retry_after_s is not None:
            return [Ignored("peer_error_429"), PeerPaused(min(retry_after_s, MAX_PAUSE_S))]
        return [Ignored(f"peer_error_{code}")]

    def _close(self, reason: str) -> Sequence[Step]:
        if self._state is _State.CLOSED:
            return [Ignored("after_end")]
        ended = Ended("probe") if self._state is _State.PROBE else _ENDS[reason]
        self._state = _State.CLOSED
        return [self._say("closed", {}), ended]

    def _disconnect(self, reason: str, info: str) -> Sequence[Send]:
        if self._state in (_State.LEAVING, _State.CLOSED, _State.BROKEN):
            return []
        self._state = _State.LEAVING
        return [self._say("disconnect", {"reason": reason, "info": info})]

    def _broken(self, code: str, why: str, *, reason: str = "error") -> ProtocolViolation:
        """The peer broke a rule: say so, once, and end."""
        last_words = tuple(self._disconnect(reason, why))
        self._state = _State.BROKEN
        return ProtocolViolation(code, why, last_words=last_words)

    def _say(self, kind: str, parameters: Mapping[str, object]) -> SendText:
        self._seq += 1
        message = {
            "version": "2",
            "id": self._id or wire.NOBODY,
            "type": kind,
            "seq": self._seq,
            "clientseq": self._client_seq,
            "parameters": parameters,
        }
        return SendText(msgspec.json.encode(message))
