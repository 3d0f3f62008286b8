"""A gateway at the wire: a real WebSocket server that greets, hears one utterance and answers it with a tone."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
from aiohttp import web

from voicegate.kernel import events
from voicegate.kernel.ids import SessionId, TurnId

FRAME_BYTES = 640
_TONE = np.tile(np.array([8000, -8000], np.int16), 160).tobytes()


@dataclass
class ScriptedGateway:
    """What one connection did, and how it is to be answered."""

    answers: bool = True
    closes_after_frames: int | None = None
    url: str = ""
    texts: list[dict[str, Any]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    frames: int = 0
    _seq: int = 0

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("voice.v1",))
        await socket.prepare(request)
        quiet = 0
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._text(socket, msgspec.json.decode(message.data))
                continue
            self.frames += 1
            self.heard += message.data
            if self.frames == self.closes_after_frames:
                await socket.close(code=1011)
            quiet = 0 if any(message.data) else quiet + 1
            if any(self.heard) and quiet == 3 and self.answers:
                await self._answer(socket)
        return socket

    async def _text(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        self.texts.append(message)
        if message["type"] == "session.start":
            welcome = {"type": "session.welcome", "sessionId": "s", "resumeSecret": "x", "resumed": False}
            await socket.send_json(welcome)
            await self._reply(socket, 1, "Hello.", 2)
        elif message["type"] == "session.end":
            await self._send(socket, events.SessionEnded, None, reason="client")
            await socket.close()

    async def _answer(self, socket: web.WebSocketResponse) -> None:
        self.heard.clear()
        await self._send(socket, events.TurnCommitted, 2, text="Hi there.")
        await self._reply(socket, 2, "Good day.", 10)

    async def _reply(self, socket: web.WebSocketResponse, turn: int, text: str, frames: int) -> None:
        await self._send(socket, events.ReplyStarted, turn)
        for _ in range(frames):
            await socket.send_bytes(_TONE)
        await self._send(socket, events.ReplyFinished, turn, text=text)

    async def _send(self, socket: web.WebSocketResponse, kind: Callable[..., Any], turn: int | None, **kw: str) -> None:
        self._seq += 1
        owner = None if turn is None else TurnId(turn)
        event = kind(session_id=SessionId("s"), seq=self._seq, at=datetime.now(UTC), turn=owner, **kw)
        await socket.send_str(events.encode(event).decode())


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedGateway]:
    """A gateway that listens on a free port; set its fields before calling."""
    gateway = ScriptedGateway()
    application = web.Application()
    application.router.add_get("/voice/{session_id}", gateway.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"ws://127.0.0.1:{site.port}"
    yield gateway
    await runner.cleanup()
