"""The parts of Twilio's, Telnyx's and Plivo's REST APIs that end a call or hand it on: a small real server.

It answers as the vendors' documents say: credentials are checked, a call that has ended is told so, each in its words.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ACCOUNT, SECRET, KEY = "AC/1", "t0p", "KEY-1"
BASIC = "Basic " + base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()


@dataclass(slots=True)
class CarrierRest:
    """What was asked, in order; calls that have ended; ``broken`` answers everything with 500."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    broken: bool = False

    async def twilio(self, request: web.Request) -> web.Response:
        call = request.match_info["call"]
        if refusal := self._refusal(request, BASIC):
            return refusal
        if call in self.ended or request.match_info["account"] != ACCOUNT:
            return web.json_response({"code": 20404, "status": 404}, status=404)
        self.asked.append(("twilio", call, dict(await request.post())))
        return web.json_response({"sid": call})

    async def telnyx(self, request: web.Request) -> web.Response:
        call, action = request.match_info["call"], request.match_info["action"]
        if refusal := self._refusal(request, f"Bearer {KEY}"):
            return refusal
        if call in self.ended:
            return web.json_response({"errors": [{"code": "90018", "title": "Call has already ended"}]}, status=422)
        self.asked.append(("telnyx", call, {"action": action, **await request.json()}))
        return web.json_response({"data": {"result": "ok"}})

    async def plivo(self, request: web.Request) -> web.Response:
        call = request.match_info["call"]
        if refusal := self._refusal(request, BASIC):
            return refusal
        if call in self.ended:
            return web.json_response({"error": "not found"}, status=404)
        if request.method == "DELETE":
            self.asked.append(("plivo", call, {"action": "hangup"}))
            return web.Response(status=204)
        self.asked.append(("plivo", call, await request.json()))
        return web.json_response({"message": "call transferred"}, status=202)

    def _refusal(self, request: web.Request, authorization: str) -> web.Response | None:
        if self.broken:
            return web.Response(status=500)
        return None if request.headers.get("Authorization") == authorization else web.Response(status=401)


@asynccontextmanager
async def carrier_rest() -> AsyncIterator[CarrierRest]:
    rest = CarrierRest()
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", rest.twilio)
    app.router.add_post("/v2/calls/{call}/actions/{action}", rest.telnyx)
    app.router.add_route("*", "/v1/Account/{account}/Call/{call}/", rest.plivo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    rest.url = f"http://127.0.0.1:{site.port}"
    try:
        yield rest
    finally:
        await runner.cleanup()
