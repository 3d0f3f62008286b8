"""How the dial plan gets the UUID of a call: it asks us by HTTP, and answers ``AudioSocket()`` with it. PURE.

AudioSocket has no authentication, so a UUID is a capability: 122 random bits (RFC 9562 version 4), good for one
connection within a minute. With it come caller and called number, which AudioSocket does not carry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.phone.audiosocket.protocol import NAME
from gateway.phone.credentials import vouched
from gateway.phone.fields import direction_in, text_in
from gateway.phone.messages import PhoneCall
from gateway.phone.webhook import Answer, Incoming, Webhook
from voicegate.kernel.errors import RefusedCall

_TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class AudioSocketAnswer:
    """``GET`` or ``POST /phone/audiosocket/answer`` (see :class:`gateway.phone.webhook.AnswerRule`)."""

    new_uuid: Callable[[], str]
    """A random UUID, with hyphens."""
    credentials: str = field(default="", repr=False)
    """``user:password`` of the dial plan (``CURLOPT(userpwd)``)."""
    methods: Sequence[str] = ("GET", "POST")

    def verify(self, request: Webhook, now_s: float) -> None:
        if not vouched(request.headers, self.credentials):
            raise RefusedCall("unauthorized", "the dial plan's user and password are not set up")

    def read(self, request: Webhook) -> Incoming:
        try:
            fields = {**dict(request.asked()), **(dict(request.form()) if request.method == "POST" else {})}
        except ValueError:
            raise RefusedCall("bad_webhook", "the fields cannot be read") from None
        call_id = self.new_uuid()
        call = PhoneCall(
            NAME,
            call_id,
            caller=text_in(fields, "caller"),
            called=text_in(fields, "called"),
            direction=direction_in(fields, "direction"),
        )
        return Incoming(call, token=call_id)

    def connect(self, incoming: Incoming, *, stream_url: str, token: str) -> Answer:
        """The UUID alone: the dial plan puts it into a variable."""
        return Answer(_TEXT, token.encode())

    def hang_up(self, incoming: Incoming) -> Answer:
        """No UUID: the dial plan goes on without us."""
        return Answer(_TEXT, b"")

    def refuse(self, incoming: Incoming) -> Answer:
        """The same: ``CURL()`` would take the words of a 503 for a UUID. A dial plan says ``Busy()`` there."""
        return self.hang_up(incoming)
