"""``voice.v1`` on the data channel: the same events and commands as on a WebSocket, one JSON text a message.

The call has begun before the channel opens (by the POST), so the protocol is taken to its live state by the start
message that this call amounts to; ``session.welcome`` is the first thing a page reads here.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from gateway.close_codes import CloseCode
from gateway.conversation import Conversation
from gateway.webrtc.channel import MAX_UNSENT_BYTES, DataChannel
from gateway.webrtc.fit import fit
from gateway.webrtc.offer import DataSection
from gateway.websocket.commands import (
    CancelReply,
    Close,
    Command,
    EndUtterance,
    HangUp,
    PressKeys,
    Refuse,
    Send,
    TypeText,
)
from gateway.websocket.ending import Ending, Exit, ending_for
from gateway.websocket.limits import InputMeter
from gateway.websocket.messages import ConnectionNotice, Error, encode
from gateway.websocket.protocol import MAX_REFUSALS, FullProtocol
from voicegate.kernel import events
from voicegate.kernel.telemetry import Counter, Telemetry

_log = structlog.get_logger(__name__)

_START: Final = '{"type":"session.start","input":{"encoding":"opus"},"output":{"encoding":"opus"}}'


class EventsChannel:
    """One call's commands and events. The conversation may be replaced after the peer was away (:meth:`follow`)."""

    def __init__(
        self,
        section: DataSection,
        transmit: Callable[[bytes], None],
        conversation: Conversation,
        leaving: Exit,
        *,
        server: bool,
        after_seq: int,
        meter: InputMeter,
        now: Callable[[], float],
        telemetry: Telemetry,
        dropped: Counter,
    ) -> None:
        """``after_seq``: the last event that the client has; 0: none."""
        self.last_seq = after_seq
        self._conversation = conversation
        self._leaving = leaving
        self._meter = meter
        self._now = now
        self._telemetry = telemetry
        self._binary = 0
        self._protocol = FullProtocol()
        self._channel = DataChannel(
            section, transmit, server=server, on_open=self._opened, on_message=self._received, dropped=dropped
        )

    def push(self, packet: bytes) -> None:
        """One SCTP packet of the peer."""
        self._channel.push(packet)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._channel.run()

    def follow(self, conversation: Conversation) -> None:
        """The call was taken up again: deliver what was missed, and go on."""
        self._conversation = conversation
        if self._channel.is_open:
            self._subscribe()

    def farewell(self, ending: Ending) -> None:
        """The last message: why it ends, by the name of the close code that a WebSocket would have had."""
        self._send(encode(ConnectionNotice(ending.code.name.lower(), ending.reason)))

    async def flushed(self, within_s: float) -> None:
        await self._channel.flushed(within_s)

    def _opened(self) -> None:
        try:
            self._welcome()
        except Exception as error:
            self._failed(error)

    def _welcome(self) -> None:
        call = self._conversation
        self._perform_all(self._protocol.receive_text(_START))
        welcome = self._protocol.joined(
            session_id=call.session_id, resume_secret=call.resume_secret, resumed=call.resumed
        )
        self._perform_all(welcome)
        self._subscribe()

    def _subscribe(self) -> None:
        for event in self._conversation.subscribe(self._deliver, self.last_seq):
            self._deliver(event)

    def _deliver(self, event: events.Event) -> None:
        self._send(events.encode(event))
        self.last_seq = event.seq

    def _received(self, message: str | bytes) -> None:
        if self._leaving.decided:
            return
        try:
            self._meter.message(len(message), self._now())
            if isinstance(message, str):
                self._perform_all(self._protocol.receive_text(message))
            else:
                self._refuse_binary()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """aiortc calls us from the middle of its reading and would take our fault for the packet's."""
        ending = ending_for(error)
        if ending.code is CloseCode.INTERNAL:
            _log.exception("a data channel message could not be handled", exc_info=error)
        self._leaving.leave(ending)

    def _perform_all(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._perform(command)

    def _perform(self, command: Command) -> None:
        call = self._conversation
        match command:
            case Send(data=data):
                self._send(data)
            case Refuse(code=code, data=data):
                self._refuse(code, data)
            case TypeText(text=text):
                call.type_text(text)
            case PressKeys(digits=digits):
                for digit in digits:
                    call.press_key(digit)
            case CancelReply():
                call.interrupt()
            case EndUtterance():
                call.end_utterance()
            case HangUp():
                self._leaving.leave(Ending(CloseCode.NORMAL, "session.end", "hang_up"))
            case Close(code=code, reason=reason):
                self._leaving.leave(Ending(code, reason, "detach"))
            case _:
                pass  # the call has begun and its audio comes by RTP

    def _refuse(self, code: str, data: bytes) -> None:
        self._telemetry.counter("voicegate_gateway_bad_messages_total", "Refused messages", code=code).inc()
        self._send(data)

    def _refuse_binary(self) -> None:
        self._binary += 1
        if self._binary > MAX_REFUSALS:
            self._leaving.leave(Ending(CloseCode.WRONG_KIND, "the channel takes text messages only", "detach"))
            return
        text = "the channel takes text messages only; audio goes over RTP"
        self._refuse("wrong_kind", encode(Error("wrong_kind", text, [])))

    def _send(self, message: bytes) -> None:
        if self._channel.unsent_bytes > MAX_UNSENT_BYTES:
            self._leaving.leave(Ending(CloseCode.TOO_SLOW, "the events were not acknowledged", "detach"))
            return
        self._channel.send(fit(message, self._channel.largest_bytes))
