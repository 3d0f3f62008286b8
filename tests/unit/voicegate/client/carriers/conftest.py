"""A gateway at the carrier's wire: real HTTP and real sockets, with answers that a test writes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from audiocodecs import g711

TONE = g711.ulaw_encode(np.tile(np.array([8000, -8000], np.int16), 80))


@dataclass
class ScriptedBridge:
    """Twilio's other side: greets with five frames, answers each pause in the caller's voice with ten."""

    url: str = ""
    answer: str = ""
    """TwiML; ``{url}`` stands for the stream's address. Empty: connect, with an action."""
    status: int = 200
    closes_after: int | None = None
    """Media messages after which it closes the first stream."""
    after: str = "<Response><Hangup/></Response>"
    """What the action answers."""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    """Path, form and headers of each webhook."""
    upgrades: list[dict[str, str]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)

    async def webhook(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.path, form, dict(request.headers)))
        text = self.after if "over" in request.query else self.answer or _CONNECT
        return web.Response(status=self.status, text=text.replace("{url}", self.url), content_type="text/xml")

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        self.upgrades.append(dict(request.headers))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard = quiet = count = 0
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            fields = json.loads(message.data)
            self.texts.append(fields)
            if fields["event"] == "start":
                await self._play(socket, 5)
            elif fields["event"] == "media":
                count += 1
                loud = any(byte not in (0xFF, 0x7F) for byte in _payload(fields))
                heard, quiet = heard + loud, 0 if loud else quiet + 1
                if heard and quiet == 3:
                    heard = 0
                    await self._play(socket, 10)
            if count == self.closes_after and len(self.upgrades) == 1:
                await socket.close()
        return socket

    async def _play(self, socket: web.WebSocketResponse, frames: int) -> None:
        stream = self.texts[-1]["streamSid"]
        payload = _base64(TONE * frames)
        await socket.send_json({"event": "media", "streamSid": stream, "media": {"payload": payload}})
        await socket.send_json({"event": "mark", "streamSid": stream, "mark": {"name": f"after {frames}"}})


_CONNECT = (
    '<Response><Connect action="/phone/twilio/answer?over=1"><Stream url="{url}/phone/twilio">'
    '<Parameter name="token" value="once"/></Stream></Connect></Response>'
)


def _payload(fields: dict[str, Any]) -> bytes:
    return base64.b64decode(fields["media"]["payload"])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
async def bridge() -> AsyncIterator[ScriptedBridge]:
    """A gateway on a free port; set its fields before calling."""
    scripted = ScriptedBridge()
    application = web.Application()
    application.router.add_post("/phone/twilio/answer", scripted.webhook)
    application.router.add_get("/phone/twilio", scripted.stream)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"ws://127.0.0.1:{site.port}"
    yield scripted
    async with asyncio.timeout(10):
        await runner.cleanup()
