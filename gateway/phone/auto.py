"""One address for several carriers: the first messages tell which one speaks. PURE.

=========  ==================================================================
carrier    its start message has
=========  ==================================================================
Twilio     ``start.streamSid`` and ``start.callSid``
Telnyx     ``stream_id`` and ``start.call_control_id``
Plivo      ``start.streamId`` and ``start.callId``
Exotel     ``start.stream_sid``, ``start.call_sid`` and ``start.account_sid``
=========  ==================================================================
"""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.phone.fields import object_in, read_object
from gateway.phone.messages import Ignored, Once, ProtocolViolation, Send, Step
from gateway.phone.protocol import Carrier, PhoneProtocol, Traits, Upgrade
from voicegate.kernel.errors import RefusedCall

AUTO: Final = "auto"
_FIRST_MESSAGES: Final = 3
"""Messages within which ``start`` must come."""
_UNKNOWN: Final = Traits(buffers=False, has_clear=False, has_marks=False)


class AutoProtocol:
    """One connection (see :class:`gateway.phone.protocol.PhoneProtocol`): whoever it is, once that is known."""

    def __init__(self, carriers: Mapping[str, Carrier], upgrade: Upgrade, refused: Mapping[str, str]) -> None:
        """``refused``: carriers whose proof this upgrade lacks, and why."""
        self._carriers = carriers
        self._upgrade = upgrade
        self._refused = refused
        self._inner: PhoneProtocol | None = None
        self._messages = 0

    @property
    def traits(self) -> Traits:
        return self._inner.traits if self._inner is not None else _UNKNOWN

    def connected(self) -> Sequence[Send]:
        return ()

    def receive_text(self, text: str) -> Sequence[Step]:
        if self._inner is not None:
            return self._inner.receive_text(text)
        fields = read_object(text)
        name = detect(fields)
        self._messages += 1
        if name not in self._carriers:
            if self._messages >= _FIRST_MESSAGES or fields.get("event") == "start":
                raise ProtocolViolation("unknown_carrier", "no start message of a known carrier")
            return (Ignored("before_start"),)
        if name in self._refused:
            raise ProtocolViolation("forged", self._refused[name])
        self._inner = self._carriers[name].open(self._upgrade)
        return self._inner.receive_text(text)

    def receive_binary(self, data: bytes) -> Sequence[Step]:
        if self._inner is None:
            raise ProtocolViolation("wrong_order", "a binary message before start")
        return self._inner.receive_binary(data)

    def accepted(self) -> Sequence[Send]:
        return self._known.accepted()

    def refused(self, code: str) -> Sequence[Send]:
        return self._known.refused(code)

    def play(self, packet: bytes) -> Sequence[Send]:
        return self._known.play(packet)

    def mark(self, name: str) -> Sequence[Send]:
        return self._known.mark(name)

    def clear(self) -> Sequence[Send]:
        return self._known.clear()

    def press_keys(self, digits: str) -> Sequence[Send]:
        return self._known.press_keys(digits)

    def hang_up(self, reason: str) -> Sequence[Send]:
        return self._known.hang_up(reason)

    @property
    def _known(self) -> PhoneProtocol:
        assert self._inner is not None, "the driver sends after Began"
        return self._inner


def detect(fields: Mapping[str, object]) -> str:
    """The carrier that a start message is of; empty: none, or not a start message."""
    start = object_in(fields, "start")
    match start:
        case _ if fields.get("event") != "start":
            return ""
        case {"streamSid": _, "callSid": _}:
            return "twilio"
        case {"call_control_id": _} if "stream_id" in fields:
            return "telnyx"
        case {"streamId": _, "callId": _}:
            return "plivo"
        case {"stream_sid": _, "call_sid": _, "account_sid": _}:
            return "exotel"
        case _:
            return ""


def auto(carriers: Sequence[Carrier]) -> Carrier:
    """All of them under one address. Each one's proof is checked at the upgrade, and counts once its start came."""
    known = {carrier.name: carrier for carrier in carriers}

    def open_(upgrade: Upgrade) -> PhoneProtocol:
        return AutoProtocol(known, upgrade, _refused(carriers, upgrade))

    def vouch(upgrade: Upgrade, now_s: float) -> bool | Once:
        return any(_proves(carrier, upgrade) for carrier in carriers)

    return Carrier(
        AUTO,
        open=open_,
        vouch=vouch,
        subprotocols=tuple(name for carrier in carriers for name in carrier.subprotocols),
        max_message_bytes=max(carrier.max_message_bytes for carrier in carriers),
        guarded=any(carrier.guarded for carrier in carriers),
    )


def _proves(carrier: Carrier, upgrade: Upgrade) -> bool:
    try:
        return bool(carrier.vouch(upgrade, 0.0))  # none of them looks at the time
    except RefusedCall:
        return False


def _refused(carriers: Sequence[Carrier], upgrade: Upgrade) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for carrier in carriers:
        try:
            carrier.vouch(upgrade, 0.0)
        except RefusedCall as refusal:
            reasons[carrier.name] = str(refusal)
    return reasons
