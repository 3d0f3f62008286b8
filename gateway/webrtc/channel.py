"""The data channel ``events`` (RFC 8831, RFC 8832) on aiortc's SCTP, which runs over our own DTLS.

Messages are text. What SCTP brings is untrusted although it is encrypted: its packets wait in a bounded queue, are
looked at by :mod:`gateway.webrtc.sctp_guard`, and an error in one of them costs that packet.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from gateway.webrtc.answer import MAX_MESSAGE_BYTES, SCTP_PORT
from gateway.webrtc.offer import DataSection
from gateway.webrtc.sctp_guard import SctpGuard
from voicegate.kernel.telemetry import Counter

LABEL: Final = "events"
MAX_UNSENT_BYTES: Final = 1_048_576
"""What may wait for a peer that does not acknowledge."""
_FIRST_TIMEOUT_S: Final = 1.0
"""RFC 9260 section 16; aiortc waits three, for which a page without its events would wait when one packet is lost."""
_WAITING_PACKETS: Final = 256
_FLUSH_STEP_S: Final = 0.02


class DataChannel:
    """One call's channel. ``run`` it as a task once DTLS is connected."""

    def __init__(
        self,
        section: DataSection,
        transmit: Callable[[bytes], None],
        *,
        server: bool,
        on_open: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        dropped: Counter,
    ) -> None:
        """``transmit`` encrypts and sends one SCTP packet. ``server``: we are the passive side of DTLS."""
        self._section = section
        self._on_open = on_open
        self._on_message = on_message
        self._dropped = dropped
        self._guard = SctpGuard()
        self._packets: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_PACKETS)
        self._carrier = _Carrier(transmit, server)
        self._sctp = RTCSctpTransport(self._carrier, SCTP_PORT)  # type: ignore[arg-type]
        self._sctp._rto = _FIRST_TIMEOUT_S
        self._sctp.on("datachannel", self._announced)
        self._channel: RTCDataChannel | None = None
        largest = section.max_message_bytes or MAX_MESSAGE_BYTES
        self.largest_bytes = min(largest, MAX_MESSAGE_BYTES - 1)
        """Longest message that may be sent."""

    @property
    def is_open(self) -> bool:
        return self._channel is not None and self._channel.readyState == "open"

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait, not counting what SCTP has in flight."""
        waiting = sum(len(chunk.user_data) for chunk in self._sctp._outbound_queue)
        return waiting + (self._channel.bufferedAmount if self._channel is not None else 0)

    def push(self, packet: bytes) -> None:
        """One SCTP packet came. Too many at once are dropped; SCTP sends them again."""
        if self._packets.full():
            self._dropped.inc()
        else:
            self._packets.put_nowait(packet)

    def send(self, text: str) -> None:
        """Send a message of at most :attr:`largest_bytes`; nothing unless the channel is open."""
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(text)

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            await self._sctp.start(RTCSctpCapabilities(self._section.max_message_bytes), self._section.sctp_port)
            while True:
                await self._take(await self._packets.get())
        finally:
            await self._sctp.stop()

    async def flushed(self, within_s: float) -> None:
        """Return when everything was acknowledged, or after ``within_s``."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while (self.unsent_bytes or self._sctp._sent_queue) and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_FLUSH_STEP_S)  # aiortc tells nobody

    async def _take(self, packet: bytes) -> None:
        if not self._guard.allows(packet):
            return self._dropped.inc()
        try:
            await self._sctp._handle_data(packet)
        except Exception:
            self._dropped.inc()
        return None

    def _announced(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self._on_open()


class _Carrier:
    """What aiortc's SCTP asks of the DTLS below it."""

    def __init__(self, transmit: Callable[[bytes], None], server: bool) -> None:
        self._transmit = transmit
        self._role = "server" if server else "client"
        self.state = "connected"

    def _register_data_receiver(self, receiver: Any) -> None:
        """Packets come by :meth:`DataChannel.push`."""

    def _unregister_data_receiver(self, receiver: Any) -> None: ...

    async def _send_data(self, data: bytes) -> None:
        self._transmit(data)
