"""A caller by WHIP: aiortc's connection, shaped like the WebSocket that :class:`~voicegate.client.call.CallClient`
speaks to. Text goes over the data channel, PCM16 at 16 kHz comes and goes as bytes.

aiortc makes the connection. Its media is left out on both sides, because it would be in everything that is measured:
its sender waits for a resampler and a thread, its receiver has a jitter buffer of 80 ms, and the tape has one already.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from audiocodecs.libopus import Decoder, Encoder
from gateway.webrtc.rtp import build_rtp
from voicegate.client.connection import CallFailed, CallTarget, GatewayUnreachable
from voicegate.kernel.audio import PIPELINE_RATE_HZ
from voicegate.kernel.errors import AudioError

_CONNECT_S: Final = 10.0
_CLOSE_S: Final = 3.0
_FIRST_TIMEOUT_S: Final = 1.0
"""RFC 9260 section 16; aiortc's SCTP waits three, for which a call would come back later when one packet is lost."""
_PACKET_TICKS: Final = 960
"""Opus counts at 48 kHz (RFC 7587)."""
_SILENT_BYTES: Final = 10
"""Opus packets up to this length hold silence."""
_CODES: Final = {"normal": 1000, "going_away": 1001, "taken_over": 4409, "session_time": 4440, "too_slow": 4490}
"""Of the ``notice`` before the end, what a WebSocket would have closed with."""


@dataclass(frozen=True, slots=True)
class WhipMessage:
    """As aiohttp's ``WSMessage``."""

    type: aiohttp.WSMsgType
    data: Any


class WhipSocket:
    """One call. Made by :func:`connect_whip`."""

    def __init__(self, http: aiohttp.ClientSession, target: CallTarget, *, listens: bool = True) -> None:
        self.close_code: int | None = None
        self.closed = False
        self._http = http
        self._target = target
        self._resource = ""
        self._received: asyncio.Queue[WhipMessage | None] = asyncio.Queue()
        self._encoder = Encoder(PIPELINE_RATE_HZ, fec=True)
        self._decoder = Decoder()
        self._payload_type, self._ssrc, self._sent = 0, secrets.randbits(32), 0
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.addTransceiver("audio", direction="sendrecv" if listens else "sendonly")
        self._channel = self._pc.createDataChannel("events")
        self._channel.on("message", self._told)
        self._pc.on("connectionstatechange", self._changed)

    async def offer(self) -> str:
        """Ask for the call; returns the answer. Raises CallFailed."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return await self._post(self._pc.localDescription.sdp)

    async def connect(self, answer: str) -> None:
        """Return when the data channel is open. Who calls this bounds the time."""
        opened = asyncio.Event()
        self._channel.on("open", opened.set)
        self._tap()
        self._pc.sctp._rto = _FIRST_TIMEOUT_S  # type: ignore[union-attr]
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self._payload_type = self._pc.getTransceivers()[0]._codecs[0].payloadType or 0
        await opened.wait()

    async def send_str(self, text: str) -> None:
        """Raises ConnectionError once the call is over."""
        if self._channel.readyState != "open":
            raise ConnectionResetError("the data channel is closed")
        self._channel.send(text)

    async def send_bytes(self, pcm: bytes) -> None:
        """20 ms of PCM16 at 16 kHz. Raises ConnectionError once the call is over."""
        if self.closed:
            raise ConnectionResetError("the call is over")
        payload = self._encoder.encode(np.frombuffer(pcm, np.int16))
        packet = build_rtp(self._payload_type, self._sent, self._sent * _PACKET_TICKS, self._ssrc, payload)
        self._sent += 1
        dtls: Any = self._pc.sctp.transport  # type: ignore[union-attr]
        await dtls._send_rtp(packet)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WhipMessage:
        message = await self._received.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def close(self, *, hang_up: bool = True) -> None:
        """Hang up and free everything. ``hang_up`` False: the call may be resumed, as after a lost connection."""
        if hang_up and self._resource and self.close_code is None:
            with_token = self._headers()
            try:
                async with asyncio.timeout(_CLOSE_S), self._http.delete(self._resource, headers=with_token):
                    pass
            except (aiohttp.ClientError, TimeoutError):
                pass  # it is gone, or it will notice that we are
        self._ended()
        await self._pc.close()

    async def vanish(self) -> None:
        """Be gone without a word: what the network does, or a killed process."""
        ice = self._pc.sctp.transport.transport  # type: ignore[union-attr]
        await ice.stop()

    async def _post(self, offer: str) -> str:
        base = self._target.url.rstrip("/")
        for socket, plain in (("ws://", "http://"), ("wss://", "https://")):
            if base.startswith(socket):
                base = plain + base.removeprefix(socket)
        query = {"session": self._target.session_id, "greeting": "true" if self._target.greeting else "false"}
        if self._target.agent:
            query["agent"] = self._target.agent
        headers = self._headers() | {"Content-Type": "application/sdp"}
        if self._target.resume is not None:
            headers["Voicegate-Resume-Secret"] = self._target.resume.secret
            headers["Voicegate-Last-Seq"] = str(self._target.resume.last_seq)
        async with self._http.post(f"{base}/whip", params=query, headers=headers, data=offer) as answer:
            body = await answer.text()
            if answer.status != 201:
                raise CallFailed(f"the gateway at {self._target.url} refused the call: {answer.status} {body[:300]}")
            self._resource = f"{base}{answer.headers['Location']}"
            return body

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._target.token}"} if self._target.token else {}

    def _tap(self) -> None:
        receiver: Any = self._pc.getReceivers()[0]

        async def heard(packet: Any, arrival_time_ms: int) -> None:
            if len(packet.payload) <= _SILENT_BYTES:
                return  # between replies; a WebSocket carries nothing then
            try:
                samples = self._decoder.decode(packet.payload)
            except AudioError:
                return
            self._received.put_nowait(WhipMessage(aiohttp.WSMsgType.BINARY, samples.tobytes()))

        receiver._handle_rtp_packet = heard

    def _told(self, text: str) -> None:
        self._received.put_nowait(WhipMessage(aiohttp.WSMsgType.TEXT, text))
        if '"type":"notice"' in text and '"seq"' not in text:
            for name, code in _CODES.items():
                if f'"code":"{name}"' in text:
                    self.close_code = code
                    self._ended()

    def _changed(self) -> None:
        if self._pc.connectionState in ("closed", "failed"):
            self._ended()

    def _ended(self) -> None:
        if not self.closed:
            self.closed = True
            self._received.put_nowait(None)


async def connect_whip(http: aiohttp.ClientSession, target: CallTarget, *, listens: bool = True) -> WhipSocket:
    """Call, and wait until the data channel is open. ``listens`` False: it only speaks.

    Raises:
        GatewayUnreachable: nobody listens there.
        CallFailed: the gateway refused the call, or no media came through.
    """
    socket = WhipSocket(http, target, listens=listens)
    try:
        async with asyncio.timeout(_CONNECT_S):
            await socket.connect(await socket.offer())
    except BaseException as error:
        await socket.close(hang_up=target.resume is None)
        if isinstance(error, aiohttp.ClientConnectionError):
            why = f"no gateway answers at {target.url}: start one with `voicegate serve`, or name another by --url"
            raise GatewayUnreachable(why) from error
        if isinstance(error, TimeoutError):
            raise CallFailed(f"no media connection to {target.url} within {_CONNECT_S:g} s: is UDP blocked?") from error
        raise
    return socket
