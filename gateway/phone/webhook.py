"""The answer webhook's port: a carrier asks by HTTP what to do with a call, and we answer with its stream verb. PURE.

The handler (``answering.py``) does for every carrier: read the body within its limit, :meth:`AnswerRule.verify` first,
then :meth:`AnswerRule.read`, hand out a capability bound to the call id (good once, for 60 s), and
:meth:`AnswerRule.connect`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import parse_qsl

from gateway.phone.messages import Once, PhoneCall

BUSY_LINE: Final = "All our lines are busy at the moment. Please call again in a few minutes. Goodbye."
"""What a caller hears who cannot be given a busy tone."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request, as plain data."""

    method: str
    path: str
    """As in the request line, without the query."""
    query: str
    """Raw, without the question mark."""
    headers: Mapping[str, str]
    """Names in lower case; values of repeated headers joined by ``, ``."""
    body: bytes
    public_url: str
    """Our address as the carrier knows it, ``https://host``, without a path."""

    @property
    def url(self) -> str:
        """The address that the carrier called, as it wrote it."""
        return f"{self.public_url}{self.path}" + (f"?{self.query}" if self.query else "")

    def form(self) -> Sequence[tuple[str, str]]:
        """The fields of a form body (``application/x-www-form-urlencoded``), in order, empty ones too.

        Raises:
            ValueError: not UTF-8, or more than 500 fields.
        """
        return parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=500)

    def asked(self) -> Sequence[tuple[str, str]]:
        """The fields of the query, in order. Raises ValueError as :meth:`form`."""
        return parse_qsl(self.query, keep_blank_values=True, max_num_fields=500)


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a webhook tells."""

    call: PhoneCall
    returned: bool = False
    """The carrier comes back after our stream ended (Twilio's ``action``): go on with the same session if it lives,
    else let the call end."""
    over: bool = False
    """The call has ended; there is nothing to connect."""
    token: str = field(default="", repr=False)
    """The capability, where the carrier's line can carry one of its own form only; as hard to guess as ours. Empty: one
    is made."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with status 200."""

    content_type: str
    body: bytes = field(repr=False)


class AnswerRule(Protocol):
    """One carrier's answer webhook. Plain calls, pure."""

    @property
    def methods(self) -> Sequence[str]:
        """``POST``, and ``GET`` where the carrier may ask so."""
        ...

    def verify(self, request: Webhook, now_s: float) -> Once | None:
        """Check the signature. ``now_s`` is UTC in seconds since the epoch. What is returned the handler spends, so
        that a replay is refused.

        Raises:
            RefusedCall: ``forged``: no signature, a wrong one, or a stale one. Also where no secret is configured: fail
                closed (the handler does not ask in loopback development mode).
        """
        ...

    def read(self, request: Webhook) -> Incoming:
        """What the (verified) request says.

        Raises:
            RefusedCall: ``bad_webhook``: unreadable, or without a call id.
        """
        ...

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        """The stream verb. ``stream_url`` is ``wss://host/phone/<carrier>``; where the carrier takes a token in no
        better place, it goes behind it as one more path segment."""
        ...

    def hang_up(self, incoming: Incoming) -> Answer:
        """The verb that ends the call."""
        ...

    def refuse(self, incoming: Incoming) -> Answer | None:
        """No line is free: a busy tone, which costs the caller nothing, or :data:`BUSY_LINE` where the call has been
        answered already or the carrier has no tone. None: it has neither, and goes by its own flow after a 503."""
        ...
