"""A customer's server, as tools find it: well, slow, far too talkative, elsewhere, broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(slots=True)
class FarSide:
    """What it was asked, newest last."""

    url: str = ""
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a slow request waits."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client of a slow request went away."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        match request.path.split("/")[1]:
            case "orders":
                return web.json_response({"spoken": f"Order {request.path.split('/')[2]} is on its way."})
            case "echo":
                return web.json_response(dict(request.headers))
            case "slow":
                return await self._slow()
            case "huge":
                return web.Response(text="x" * 1_000_000)
            case "redirect":
                raise web.HTTPFound(f"{self.url}/orders/1")
            case "html":
                return web.Response(text="<p>hello</p>", content_type="text/html")
            case "broken":
                return web.Response(text="{no json", content_type="application/json")
            case "half":
                return web.Response(text='{"a": "\\ud800"}', content_type="application/json")
            case "compressed":
                return web.Response(body=b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"})
            case "empty":
                return web.Response(status=204)
            case _:
                return web.json_response({"detail": "out of order"}, status=500)

    async def _slow(self) -> web.Response:
        self.waiting.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return web.json_response({})


@asynccontextmanager
async def far_side() -> AsyncIterator[FarSide]:
    """The server while entered."""
    side = FarSide()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", side.handle)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    side.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield side
    finally:
        await runner.cleanup()
