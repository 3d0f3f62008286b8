"""The full profile ``voice.v1`` of ``WS /voice/{session_id}`` as a state machine without I/O.

Messages in, commands out; the driver (:mod:`gateway.websocket.full`) performs the commands and owns socket and clock.

Rules for whoever edits this module:

* Nothing here reads a clock, a socket or a setting.
* Text that is not a JSON object with a ``type`` closes with 1007; a known type with wrong fields closes with 4400.
* What a well-meaning client may get wrong (unknown type, wrong order, a value out of bounds) is answered with an
  ``error`` message that names what is allowed, and the call goes on, at most :data:`MAX_REFUSALS` times.
* Answers have no ``seq``: only events of the session have one.

::

    FRESH --session.start | session.resume | audio--> JOINING --joined()--> LIVE
    any   --wrong JSON, wrong fields, session.end--> CLOSED
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from gateway.close_codes import CloseCode
from gateway.websocket import messages as wire
from gateway.websocket.commands import (
    Audio,
    Begin,
    CancelReply,
    Close,
    Command,
    EndUtterance,
    HangUp,
    PressKeys,
    Refuse,
    Resume,
    Send,
    TypeText,
)

SUBPROTOCOL = "voice.v1"

MAX_TEXT_MESSAGE_BYTES = 32_768
"""Longest text message, UTF-8 bytes (our choice: 4000 characters, each escaped as ``\\uXXXX``, fit)."""
MAX_TYPED_CHARACTERS = 4_000
MAX_DIGITS = 32
MAX_REFUSALS = 20
MAX_CONTEXT_ENTRIES = 32
MAX_CONTEXT_KEY_CHARACTERS = 64
MAX_CONTEXT_VALUE_CHARACTERS = 256
MAX_AGENT_CHARACTERS = 64
MAX_SECRET_CHARACTERS = 256
MAX_PING_ID_CHARACTERS = 64
DIGITS = frozenset("0123456789*#ABCD")

FORMATS: Mapping[str, tuple[int, ...]] = {
    "pcm16": (16_000, 24_000),
    "opus": (48_000,),
    "pcmu": (8_000,),
    "pcma": (8_000,),
}
"""Encodings and their rates in Hz; the first is the default of the encoding. ``pcm16`` is little-endian mono;
``opus`` is one RFC 6716 packet a message; ``pcmu`` and ``pcma`` are ITU-T G.711."""


class _State(Enum):
    FRESH = auto()
    JOINING = auto()
    LIVE = auto()
    CLOSED = auto()


class FullProtocol:
    """One connection's protocol state. Methods return the commands to perform, in order."""

    def __init__(self) -> None:
        self._state = _State.FRESH
        self._refusals = 0
        self._input = wire.Format("pcm16", 16_000)
        self._output = wire.Format("pcm16", 16_000)

    def receive_binary(self, data: bytes) -> Sequence[Command]:
        """A binary message: audio in the negotiated input format. Before any ``session.start`` it begins a call."""
        match self._state:
            case _State.FRESH:
                self._state = _State.JOINING
                return [Begin(input=self._input, output=self._output), *([Audio(data)] if data else [])]
            case _State.LIVE if data:
                return [Audio(data)]
            case _:
                return []

    def receive_text(self, text: str) -> Sequence[Command]:
        """A text message: one JSON command."""
        if self._state is _State.CLOSED:
            return []
        size = len(text) if text.isascii() else len(text.encode())
        if size > MAX_TEXT_MESSAGE_BYTES:
            return self._close(CloseCode.TOO_BIG, f"a text message has at most {MAX_TEXT_MESSAGE_BYTES} bytes")
        match wire.parse(text):
            case wire.NotJson():
                return self._close(CloseCode.BAD_PAYLOAD, "text must be a JSON object with a string 'type'")
            case wire.WrongFields(type=name, why=why):
                return self._close(CloseCode.BAD_MESSAGE, f"{name}: {why}")
            case wire.UnknownType(type=name):
                return self._refuse("unknown_type", f"no message has the type {name[:40]!r}", sorted(wire.TYPES))
            case wire.Ping(id=ping_id):
                return self._ping(ping_id)
            case wire.SessionEnd():
                self._state = _State.CLOSED
                return [HangUp()]
            case message if self._state is _State.LIVE:
                return self._live(message)
            case message:
                return self._fresh(message)

    def joined(self, *, session_id: str, resume_secret: str, resumed: bool) -> Sequence[Command]:
        """The driver attached to the call that :class:`Begin` or :class:`Resume` asked for."""
        self._state = _State.LIVE
        welcome = wire.Welcome(session_id, resume_secret, self._input, self._output, resumed)
        return [Send(wire.encode(welcome))]

    def _fresh(self, message: wire.Message) -> Sequence[Command]:
        match message:
            case wire.SessionStart():
                return self._start(message)
            case wire.SessionResume():
                return self._resume(message)
            case _:
                allowed = ["session.start", "session.resume", "session.end", "ping"]
                return self._refuse("wrong_order", "the call has not begun: start or resume it first", allowed)

    def _live(self, message: wire.Message) -> Sequence[Command]:
        match message:
            case wire.UtteranceEnd():
                return [EndUtterance()]
            case wire.ReplyCancel():
                return [CancelReply()]
            case wire.Text(text=text):
                return self._type(text)
            case wire.Dtmf(digits=digits):
                return self._press(digits)
            case _:
                allowed = sorted(wire.TYPES - {"session.start", "session.resume"})
                return self._refuse("wrong_order", "the call has begun already", allowed)

    def _start(self, message: wire.SessionStart) -> Sequence[Command]:
        if refusal := self._agree(message.input, message.output) or self._check_context(message):
            return refusal
        self._state = _State.JOINING
        return [Begin(self._input, self._output, message.agent, message.greeting, message.context)]

    def _resume(self, message: wire.SessionResume) -> Sequence[Command]:
        if message.last_seq < 0 or not 1 <= len(message.secret) <= MAX_SECRET_CHARACTERS:
            return self._refuse("out_of_bounds", "lastSeq is 0 or more, secret the resumeSecret of session.welcome", [])
        if refusal := self._agree(message.input, message.output):
            return refusal
        self._state = _State.JOINING
        return [Resume(self._input, self._output, message.secret, message.last_seq)]

    def _agree(self, wanted_input: wire.Format, wanted_output: wire.Format) -> Sequence[Command]:
        """Settle both formats; a refusal leaves the state as it was, so that the client may ask again."""
        settled = []
        for wanted in (wanted_input, wanted_output):
            rates = FORMATS.get(wanted.encoding, ())
            rate = wanted.rate or (rates[0] if rates else 0)
            if rate not in rates:
                allowed = [f"{name}/{each}" for name, each_rates in FORMATS.items() for each in each_rates]
                return self._refuse("unsupported_format", f"no format {wanted.encoding[:20]!r} at {rate} Hz", allowed)
            settled.append(wire.Format(wanted.encoding, rate))
        self._input, self._output = settled
        return []

    def _check_context(self, message: wire.SessionStart) -> Sequence[Command]:
        context = message.context
        fits = (
            len(message.agent) <= MAX_AGENT_CHARACTERS
            and len(context) <= MAX_CONTEXT_ENTRIES
            and all(
                len(key) <= MAX_CONTEXT_KEY_CHARACTERS and len(value) <= MAX_CONTEXT_VALUE_CHARACTERS
                for key, value in context.items()
            )
        )
        if fits:
            return []
        bounds = (
            f"agent has at most {MAX_AGENT_CHARACTERS} characters, context at most {MAX_CONTEXT_ENTRIES} entries of "
            f"{MAX_CONTEXT_KEY_CHARACTERS} and {MAX_CONTEXT_VALUE_CHARACTERS} characters"
        )
        return self._refuse("out_of_bounds", bounds, [])

    def _ping(self, ping_id: str | int) -> Sequence[Command]:
        if isinstance(ping_id, str) and len(ping_id) > MAX_PING_ID_CHARACTERS:
            return self._refuse("out_of_bounds", f"id has at most {MAX_PING_ID_CHARACTERS} characters", [])
        return [Send(wire.encode(wire.Pong(ping_id)))]

    def _type(self, text: str) -> Sequence[Command]:
        if not text.strip() or len(text) > MAX_TYPED_CHARACTERS:
            return self._refuse("out_of_bounds", f"text has 1 to {MAX_TYPED_CHARACTERS} characters", [])
        return [TypeText(text)]

    def _press(self, digits: str) -> Sequence[Command]:
        keys = digits.upper()
        if not 1 <= len(keys) <= MAX_DIGITS or not DIGITS.issuperset(keys):
            return self._refuse("out_of_bounds", f"digits has 1 to {MAX_DIGITS} keys", sorted(DIGITS))
        return [PressKeys(keys)]

    def _refuse(self, code: str, message: str, allowed: Sequence[str]) -> Sequence[Command]:
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            return self._close(CloseCode.BAD_MESSAGE, f"more than {MAX_REFUSALS} messages had to be refused")
        return [Refuse(code, wire.encode(wire.Error(code, message, list(allowed))))]

    def _close(self, code: CloseCode, reason: str) -> Sequence[Command]:
        self._state = _State.CLOSED
        return [Close(code, reason)]
