"""The port that each carrier implements, and what the door must know of a carrier. PURE.

To add a carrier
----------------
1. Make the folder ``gateway/phone/<name>/`` with ``protocol.py``: one class with the shape of :class:`PhoneProtocol`.
   It is a state machine: messages in, :data:`~gateway.phone.messages.Step` out; no I/O, no clock, no task. It parses
   and checks everything the peer sends, binds itself to the ids of the start message, and gives only facts the driver
   may trust. What has no effect becomes ``Ignored(code)``; what must end the connection raises
   ``ProtocolViolation(code)``.
2. Beside it ``carrier.py`` with ``def <name>(config) -> Carrier``: how to open a protocol for an upgrade, and how to
   check the upgrade (a signature, a static secret). Where the carrier asks us by HTTP what to do with a call, also an
   :class:`~gateway.phone.webhook.AnswerRule`.
3. Tests: byte-exact fixtures of both directions, a table of orders, hypothesis over any text and any bytes.
4. Name it where the composition root lists carriers (``voicegate/phones.py``), and write ``docs/phone/<name>.md``.

The driver (``driver.py``) does the rest for all: authorisation, attaching to the conversation, decoding, filling
missing audio on the wall clock, pacing, marks, the account of what was heard, clearing at a barge-in, keys, hanging up,
limits.

The life of a protocol: ``connected`` → any ``receive_*`` until one gives ``Began`` → the driver calls ``accepted`` (or
``refused``) → ``receive_*``, ``play``, ``mark``, ``clear``, ``press_keys`` in any order → ``hang_up`` at the most once,
after which ``receive_*`` may still be called for ``Traits.farewell_s``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gateway.phone.messages import Once, Send, Step

if TYPE_CHECKING:
    from gateway.phone.webhook import Answer, AnswerRule


@dataclass(frozen=True, slots=True)
class Traits:
    """How a peer behaves. Read by the driver after ``Began``; it does not change then."""

    buffers: bool
    """It plays what it got in order and in real time, so it may get some audio ahead. False: it plays what arrives when
    it arrives; the driver sends one frame every 20 ms."""
    has_clear: bool
    """It can throw away what it has not played."""
    has_marks: bool
    """It tells when a mark was reached."""
    clear_returns_marks: bool = True
    """A clear makes it return the marks that were waiting: they prove nothing."""
    packet_ms: int = 20
    """Audio in one :meth:`PhoneProtocol.play`, a multiple of 20 ms."""
    least_ms: int = 20
    """Least audio that it takes in one message; the end of a phrase is padded with silence to it."""
    has_keys: bool = False
    """:meth:`PhoneProtocol.press_keys` does something."""
    returns: bool = False
    """A connection that broke comes back with the same call, so the call waits for it."""
    close_hangs_up: bool = True
    """Closing the connection ends the call. False: where we hang up, its REST API is asked too."""
    farewell_s: float = 0.0
    """How long to wait, after ``hang_up``, for the peer to close in its own words."""
    handshake_s: float = 10.0
    """From the connection to ``Began``."""
    session_s: float = 86_400.0
    """Longest stream that the carrier allows."""


class PhoneProtocol(Protocol):
    """One connection's state machine. All methods return at once; all of what they return is to be sent in order."""

    @property
    def traits(self) -> Traits: ...

    def connected(self) -> Sequence[Send]:
        """What we say first."""
        ...

    def receive_text(self, text: str) -> Sequence[Step]:
        """One text message.

        Raises:
            ProtocolViolation: the connection must end.
        """
        ...

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        """One binary message; on a bare TCP line, bytes cut anywhere.

        Raises:
            ProtocolViolation: the connection must end.
        """
        ...

    def accepted(self) -> Sequence[Send]:
        """The call has a conversation now (answers to the start message that must wait for it)."""
        ...

    def refused(self, code: str) -> Sequence[Send]:
        """The call is not taken (``code`` as in :data:`gateway.problems.REFUSALS`); the socket is closed next."""
        ...

    def play(self, packet: bytes) -> Sequence[Send]:
        """``packet`` is ``packet_ms`` of audio in the format ``spoken``; at a phrase's end less, but ``least_ms``."""
        ...

    def mark(self, name: str) -> Sequence[Send]:
        """Ask for ``MarkReturned(name)`` once all before it was played. Nothing where there are no marks."""
        ...

    def clear(self) -> Sequence[Send]:
        """Throw away what was not played. Nothing where that cannot be."""
        ...

    def press_keys(self, digits: str) -> Sequence[Send]:
        """Send DTMF into the call. Nothing where that cannot be."""
        ...

    def hang_up(self, reason: str) -> Sequence[Send]:
        """Last words before the close. Nothing where the close alone hangs up."""
        ...


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The request for the connection, as plain data."""

    path: str
    """As in the request line, without the query."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; values of repeated headers joined by ``, ``."""
    method: str = "GET"
    token: str = field(default="", repr=False)
    """The last segment of ``/phone/<provider>/<token>``."""
    authority: str = ""
    """The ``Host`` header."""
    public_url: str = ""
    """Our address as the carrier knows it (setting ``VOICEGATE_PUBLIC_URL``), ``https://host``, without a path; empty:
    unknown."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier, configured."""

    name: str
    """In the address: ``/phone/<name>``."""
    open: Callable[[Upgrade], PhoneProtocol]
    """A protocol for one connection."""
    vouch: Callable[[Upgrade, float], bool | Once]
    """Whether the upgrade itself proves that a call may begin. False: a capability token must come too. :class:`Once`:
    it does, and the door spends it, so that a replay is refused. The second argument is UTC in seconds since the epoch.
    Raises :class:`~voicegate.kernel.errors.RefusedCall` (``forged``, ``unauthorized``) where it carries a wrong proof,
    or none where the settings want one: fail closed."""
    subprotocols: tuple[str, ...] = ()
    """Chosen in this order from those the peer offers; a peer that offers none is taken too."""
    max_message_bytes: int = 64 * 1024
    guarded: bool = False
    """A secret of the carrier is set: then its proofs are asked for in loopback development mode too."""
    signs: bool = False
    """An upgrade for which ``vouch`` raised nothing was signed by the carrier, even where that does not prove which
    call it is for: it may come as often as calls do."""
    answer: "AnswerRule | None" = None
    """Its answer webhook."""
    dial: "Callable[[str], Answer] | None" = None
    """The verb that dials a number, where the carrier fetches it for a transfer."""
