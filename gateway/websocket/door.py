"""``WS /voice/{session_id}``: refuse in words before the upgrade, or upgrade and carry the call."""

from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from gateway.admission import TOKEN_SUBPROTOCOL, Knock, Pass
from gateway.conversation import CallRequest, Conversation
from gateway.origins import FORWARDING_HEADERS
from gateway.parts import GatewayParts
from gateway.problems import problem_response, told_at
from gateway.websocket.carry import carry
from gateway.websocket.ending import Ending, Exit
from gateway.websocket.full import FullDriver
from gateway.websocket.link import Link, open_socket
from gateway.websocket.protocol import SUBPROTOCOL as FULL
from gateway.websocket.simple import OUTPUT_RATE_HZ, SimpleDriver
from gateway.websocket.upgrade import Upgrade
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.ids import SessionId

SIMPLE: Final = "voice.simple"
"""Subprotocol that names the simple profile, for browsers that must offer one beside a token."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VoiceDoor:
    """The handler of the route."""

    parts: GatewayParts

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        with structlog.contextvars.bound_contextvars(session_id=request.match_info["session_id"][:64]):
            try:
                return await self._answer(request)
            except RefusedCall as refusal:
                _log.log(told_at(refusal), "call refused", code=refusal.code, peer=request.remote)
                return problem_response(refusal)
            except StateUnavailable:
                self.parts.admission.refused("state_unavailable")
                return problem_response(
                    RefusedCall("state_unavailable", "the state store is away; new calls cannot be taken")
                )
            except ConnectionResetError:
                return web.Response(status=400)  # the client left during the upgrade: nobody reads this

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        full = self._choose_profile(request)
        limits = self.parts.config.limits
        response = open_socket(
            protocols=(FULL if full else SIMPLE,),
            max_message_bytes=limits.full_message_bytes if full else limits.simple_message_bytes,
            heartbeat_s=limits.heartbeat_s,
        )
        if not response.can_prepare(request):
            self._refuse("not_a_websocket", "the WebSocket handshake is not that of RFC 6455, version 13")
        granted = await self.parts.admission.admit(_knock(request))
        with self.parts.admission.seat(), self.parts.connections.member() as leaving:
            carried = self._full if full else self._simple
            await carried(request, response, granted, leaving)
        return response

    def _choose_profile(self, request: web.Request) -> bool:
        """Whether it is the full profile. Raises RefusedCall where no profile can be agreed on."""
        if request.headers.get("Upgrade", "").strip().lower() != "websocket":
            self._refuse("not_a_websocket", "connect with a WebSocket client")
        offered = _subprotocols(request)
        if FULL in offered:
            return True
        if offered and SIMPLE not in offered:
            # A browser drops a connection whose server picked none of its subprotocols, and a token must not be echoed.
            self._refuse("bad_subprotocol", f"offer {FULL} or {SIMPLE}, beside any {TOKEN_SUBPROTOCOL}<token>")
        return False

    def _refuse(self, code: str, message: str) -> None:
        self.parts.admission.refused(code)
        raise RefusedCall(code, message)

    async def _full(self, request: web.Request, response: Upgrade, granted: Pass, leaving: Exit) -> None:
        link = await self._upgrade(request, response)
        driver = FullDriver(
            link,
            self.parts.calls,
            granted,
            leaving,
            hold=self.parts.connections.hold,
            limits=self.parts.config.limits,
            clock=self.parts.clock,
            telemetry=self.parts.telemetry,
            intake=self.parts.intake,
        )
        self._closed(await carry(link, driver, leaving, self.parts.metronome, self.parts.config.limits))

    async def _simple(self, request: web.Request, response: Upgrade, granted: Pass, leaving: Exit) -> None:
        conversation = await self._attach(granted)
        self.parts.connections.hold(granted.session_id, leaving)
        try:
            link = await self._upgrade(request, response)
        except BaseException:
            conversation.hang_up("client")
            raise
        driver = SimpleDriver(link, conversation, leaving, limits=self.parts.config.limits, clock=self.parts.clock)
        self._closed(await carry(link, driver, leaving, self.parts.metronome, self.parts.config.limits))

    async def _attach(self, granted: Pass) -> Conversation:
        wanted = CallRequest(
            SessionId(granted.session_id),
            "voice-simple",
            OUTPUT_RATE_HZ,
            clips=True,
            greeting=False,  # a client that uploads a file waits for its answer, and nothing else
            agent=granted.agent,
            input_format="media",
            output_format=f"wav/{OUTPUT_RATE_HZ}",
        )
        try:
            return await self.parts.calls.attach(wanted)
        except RefusedCall as refusal:
            # Without a resume secret, "unauthorized" can only mean a call that has its connection.
            code = "in_use" if refusal.code == "unauthorized" else refusal.code
            self.parts.admission.refused(code)
            raise RefusedCall(code, str(refusal), retry_after_s=refusal.retry_after_s) from None

    async def _upgrade(self, request: web.Request, response: Upgrade) -> Link:
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client left during the upgrade")
        return Link(response, transport, self.parts.clock.monotonic)

    def _closed(self, ending: Ending) -> None:
        name = ending.code.name.lower()
        self.parts.telemetry.counter("voicegate_gateway_closes_total", "Call connections closed", code=name).inc()
        _log.info("connection closed", code=int(ending.code), name=name, reason=ending.reason)


def _subprotocols(request: web.Request) -> tuple[str, ...]:
    # Only the first such header, because aiohttp reads no other when it picks one.
    entries = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return tuple(entry.strip() for entry in entries if entry.strip())


def _knock(request: web.Request) -> Knock:
    headers = request.headers
    return Knock(
        session_id=request.match_info["session_id"],
        peer=request.remote or "",
        host=headers.get("Host", ""),
        origin=headers.get("Origin"),
        authorization=headers.get("Authorization"),
        subprotocols=_subprotocols(request),
        query_names=tuple(request.query),
        forwarding=tuple((name, value) for name in FORWARDING_HEADERS for value in headers.getall(name, [])),
    )
