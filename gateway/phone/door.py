"""``WS /phone/{provider}`` and ``WS /phone``: refuse in words before the upgrade, or upgrade and carry the call."""

from dataclasses import dataclass

import structlog
from aiohttp import web

from gateway.parts import GatewayParts
from gateway.phone.answering import AnswerDoor
from gateway.phone.auto import AUTO
from gateway.phone.carrying import carry_call
from gateway.phone.messages import Once
from gateway.phone.orders import OrderDoor
from gateway.phone.parts import PhoneParts, headers_of, knock_of
from gateway.phone.protocol import Carrier, Upgrade
from gateway.phone.reception import Standing
from gateway.problems import problem_response, told_at
from gateway.websocket.link import Link, open_socket
from voicegate.kernel.errors import RefusedCall, StateUnavailable

_log = structlog.get_logger(__name__)


def phone_routes(parts: GatewayParts, phones: PhoneParts) -> list[web.RouteDef]:
    """The routes of all carriers."""
    answer, door = AnswerDoor(parts, phones).__call__, PhoneDoor(parts, phones).__call__
    orders = OrderDoor(parts, phones)
    return [
        web.route("*", "/phone/{provider}/answer", answer),
        web.post("/phone/calls/{session_id}", orders.order),
        web.post("/phone/{provider}/dial/{token}", orders.dial),
        web.get("/phone", door),
        web.get("/phone/{provider}", door),
        web.get("/phone/{provider}/{token}", door),
    ]


@dataclass(frozen=True, slots=True)
class PhoneDoor:
    """The handler of the streams' routes."""

    parts: GatewayParts
    phones: PhoneParts

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except RefusedCall as refusal:
            _log.log(told_at(refusal), "phone stream refused", code=refusal.code, peer=request.remote)
            return problem_response(refusal)
        except StateUnavailable:
            self.parts.admission.refused("state_unavailable")
            message = "the state store is away; new calls cannot be taken"
            return problem_response(RefusedCall("state_unavailable", message))
        except ConnectionResetError:
            return web.Response(status=400)  # the carrier left during the upgrade: nobody reads this

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        carrier = self.phones.carrier(request.match_info.get("provider", AUTO))
        response = open_socket(
            protocols=carrier.subprotocols,
            max_message_bytes=carrier.max_message_bytes,
            heartbeat_s=self.parts.config.limits.heartbeat_s,
        )
        if not response.can_prepare(request):
            self._refuse("not_a_websocket", "connect with a WebSocket client (RFC 6455, version 13)")
        upgrade = self._upgrade(request)
        standing = await self._standing(request, carrier, upgrade)
        protocol = carrier.open(upgrade)
        with self.parts.admission.seat(), self.parts.connections.member() as leaving:
            await response.prepare(request)
            transport = request.transport
            if transport is None:
                raise ConnectionResetError("the carrier left during the upgrade")
            link = Link(response, transport, self.parts.clock.monotonic)
            await carry_call(self.parts, self.phones, link, protocol, standing, leaving, provider=carrier.name)
        return response

    async def _standing(self, request: web.Request, carrier: Carrier, upgrade: Upgrade) -> Standing:
        now = self.parts.clock.utc().timestamp()
        try:
            vouched = carrier.vouch(upgrade, now)
        except RefusedCall as refusal:
            self.parts.admission.refused(refusal.code)
            raise
        knock, admission = knock_of(request, carrier.name), self.parts.admission
        promised = carrier.answer is not None  # perhaps, by its webhook: known once the call says which it is
        line = await admission.admit_line(
            knock, proven=bool(vouched), guarded=carrier.guarded, signed=carrier.signs, known=promised
        )
        if isinstance(vouched, Once):
            await admission.spend_once(vouched.key, vouched.expires)
        full = (lambda: admission.full(carrier.name)) if promised else (lambda: False)
        return Standing(line.vouched, line.anonymous, upgrade.token, line.agent, full)

    def _upgrade(self, request: web.Request) -> Upgrade:
        path, _, query = request.raw_path.partition("?")
        return Upgrade(
            path,
            query,
            headers_of(request),
            request.method,
            request.match_info.get("token", ""),
            request.headers.get("Host", ""),
            self.phones.url_of(request),
        )

    def _refuse(self, code: str, message: str) -> None:
        self.parts.admission.refused(code)
        raise RefusedCall(code, message)
