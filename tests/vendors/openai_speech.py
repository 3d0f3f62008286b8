"""A stand-in for OpenAI's ``/v1/audio/speech``, on 127.0.0.1.

``async with OpenAISpeechServer() as server:`` then point a client at ``server.url``, which ends in ``/v1``.
"""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.vendors.speech import Speak, Trouble, tones

RATE_HZ = 24_000


@dataclass
class OpenAISpeechServer:
    """Serves until left. ``requests`` holds the bodies that clients sent."""

    speak: Speak = tones
    trouble: Trouble = field(default_factory=Trouble)
    api_key: str = "key"
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    broken: int = 0
    """Clients that left before their audio was over."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/audio/speech", self._speech)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        keyed = request.headers.get("Authorization") == f"Bearer {self.api_key}"
        status = self.trouble.refusal() if keyed else 401
        if status != 200:
            return web.json_response({"error": {"message": "refused", "code": str(status)}}, status=status)
        body = await request.json()
        if body.get("response_format") != "pcm":
            return web.json_response({"error": {"message": "only pcm here"}}, status=400)
        self.requests.append(body)
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        try:
            async for piece in self.trouble.pieces(self.speak(body["input"], RATE_HZ).samples.tobytes()):
                await response.write(piece)
        except ConnectionAbortedError:
            if request.transport is not None:
                request.transport.abort()
            return response
        except (ConnectionError, asyncio.CancelledError):
            self.broken += 1
            raise
        await response.write_eof()
        return response
