"""``GET /agents``: whom a caller may ask for. Told only to those who may call."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from gateway.admission import Admission, Knock
from gateway.origins import FORWARDING_HEADERS
from gateway.problems import problem_response
from voicegate.kernel.errors import RefusedCall, StateUnavailable

MOST_PUBLISHED = 100


class Published(msgspec.Struct, frozen=True, rename="camel"):
    """An agent that was published through the control API. A call asks for it by its id."""

    id: str
    name: str


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """The answer's body."""

    agents: list[str]
    """Names; the first one takes calls that name nobody."""
    published: list[Published] = []
    """The newest, at most :data:`MOST_PUBLISHED`; none while the state store is away."""


@dataclass(frozen=True, slots=True)
class Directory:
    """The handler. ``names`` gives the agents of this moment, the default first."""

    admission: Admission
    names: Callable[[], Sequence[str]]
    published: Callable[[int], Awaitable[Sequence[tuple[str, str]]]] | None = None
    """Ids and names of so many published agents; None: there are none."""

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
        # A caller who may talk to one agent only is told of no other.
        listed = Listed([only]) if only else Listed(list(self.names()), await self._published())
        body = msgspec.json.encode(listed)
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})

    async def _published(self) -> list[Published]:
        if self.published is None:
            return []
        try:
            return [Published(*each) for each in await self.published(MOST_PUBLISHED)]
        except StateUnavailable:
            return []
