"""A stand-in for ElevenLabs' text to speech: its HTTP stream and its WebSocket, on 127.0.0.1.

Shapes from the ElevenLabs API reference. ``async with ElevenLabsServer() as server:`` then point a client at
``server.url``.
"""

import asyncio
import base64
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.vendors.speech import Character, Speak, Trouble, tones

_MESSAGES = {401: "Invalid API key", 429: "Too many concurrent requests", 500: "Internal error"}


@dataclass
class ElevenLabsServer:
    """Serves until left. ``requests`` holds what clients sent, ``sockets`` counts WebSockets ever opened."""

    speak: Speak = tones
    trouble: Trouble = field(default_factory=Trouble)
    durations_key: str = "charDurationsMs"
    """The vendor's texts also spell it ``charsDurationsMs``."""
    api_key: str = "key"
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    sockets: int = 0
    broken: int = 0
    """Clients that left before their audio was over."""
    close_spares: bool = False
    """Close sockets as soon as they have said hello, as the vendor does with idle ones."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/text-to-speech/{voice}/stream/with-timestamps", self._http)
        app.router.add_get("/v1/text-to-speech/{voice}/stream-input", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def _refusal(self, request: web.Request) -> web.Response | None:
        status = 401 if request.headers.get("xi-api-key") != self.api_key else self.trouble.refusal()
        if status == 200:
            return None
        detail = {"status": "refused", "message": _MESSAGES.get(status, "refused")}
        return web.json_response({"detail": detail}, status=status)

    async def _http(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        body = await request.json()
        self.requests.append({**body, "voice": request.match_info["voice"]})
        rate_hz = int(request.query["output_format"].removeprefix("pcm_"))
        speech = self.speak(body["text"], rate_hz)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        sent = 0
        try:
            async for piece in self.trouble.pieces(speech.samples.tobytes()):
                told = [c for c in speech.characters if sent <= c.start_s * rate_hz * 2 < sent + len(piece)]
                sent += len(piece)
                line = json.dumps({"audio_base64": base64.b64encode(piece).decode(), "alignment": _seconds(told)})
                middle = len(line) // 2  # a line need not come in one piece
                await response.write(line[:middle].encode())
                await response.write(line[middle:].encode() + b"\n\n")
        except ConnectionAbortedError:
            _tear(request)
            return response
        except (ConnectionError, asyncio.CancelledError):
            self.broken += 1
            raise
        await response.write_eof()
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets += 1
        rate_hz = int(request.query["output_format"].removeprefix("pcm_"))
        text, hello = "", True
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            body = json.loads(message.data)
            self.requests.append({**body, "voice": request.match_info["voice"]})
            if hello:
                hello = False
                if self.close_spares:
                    break
            elif body["text"]:
                text += body["text"]
            else:
                await self._say(request, socket, text, rate_hz)
                break
        await socket.close()
        return socket

    async def _say(self, request: web.Request, socket: web.WebSocketResponse, text: str, rate_hz: int) -> None:
        speech = self.speak(text, rate_hz)
        sent = 0
        try:
            async for piece in self.trouble.pieces(speech.samples.tobytes()):
                told = [c for c in speech.characters if sent <= c.start_s * rate_hz * 2 < sent + len(piece)]
                message: dict[str, Any] = {"audio": base64.b64encode(piece).decode(), "isFinal": None}
                message["alignment"] = self._milliseconds(told, sent / rate_hz / 2)
                sent += len(piece)
                await socket.send_json(message)
            await socket.send_json({"audio": "", "isFinal": True})
        except ConnectionAbortedError:
            _tear(request)
        except (ConnectionError, asyncio.CancelledError):
            self.broken += 1

    def _milliseconds(self, told: list[Character], start_s: float) -> dict[str, Any] | None:
        """Times count from the piece's own start."""
        if not told:
            return None
        return {
            "chars": [c.text for c in told],
            "charStartTimesMs": [round((c.start_s - start_s) * 1000) for c in told],
            self.durations_key: [round((c.end_s - c.start_s) * 1000) for c in told],
        }


def _seconds(told: list[Character]) -> dict[str, Any] | None:
    if not told:
        return None
    return {
        "characters": [c.text for c in told],
        "character_start_times_seconds": [c.start_s for c in told],
        "character_end_times_seconds": [c.end_s for c in told],
    }


def _tear(request: web.Request) -> None:
    """End the connection as a crash does, without the last chunk or a close frame."""
    if request.transport is not None:
        request.transport.abort()
