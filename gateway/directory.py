"""``GET /agents``: whom a caller may ask for. Told only to those who may call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from gateway.admission import Admission, Knock
from gateway.origins import FORWARDING_HEADERS
from gateway.problems import problem_response
from voicegate.kernel.errors import RefusedCall


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """The answer's body."""

    agents: list[str]
    """Names; the first one takes calls that name nobody."""


@dataclass(frozen=True, slots=True)
class Directory:
    """The handler. ``names`` gives the agents of this moment, the default first."""

    admission: Admission
    names: Callable[[], Sequence[str]]

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/agents", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        headers = request.headers
        knock = Knock(
            session_id=request.query.get("session", ""),
            peer=request.remote or "",
            host=headers.get("Host", ""),
            origin=headers.get("Origin"),
            authorization=headers.get("Authorization"),
            forwarding=tuple((name, value) for name in FORWARDING_HEADERS for value in headers.getall(name, [])),
        )
        try:
            only = self.admission.identify(knock).agent
        except RefusedCall as refusal:
            return problem_response(refusal)
        body = msgspec.json.encode(Listed([only] if only else list(self.names())))
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
