"""``/whip``: WHIP (RFC 9725) by aiohttp. Reads HTTP, refuses in words, and hands a call to its task.

A ``sendrecv`` offer gets a ``sendrecv`` answer, which RFC 9725 does not foresee and its clients take unchanged; a
``sendonly`` offer gets the ``recvonly`` of the RFC.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import web

from gateway.admission import Knock, Pass
from gateway.close_codes import CloseCode
from gateway.conversation import CallRequest, Conversation
from gateway.origins import FORWARDING_HEADERS
from gateway.parts import GatewayParts
from gateway.problems import problem_response, told_at
from gateway.webrtc.addresses import media_addresses, media_ports
from gateway.webrtc.audio import OUTPUT_RATE_HZ
from gateway.webrtc.call import CallParts, WebRtcCall
from gateway.webrtc.certificate import Certificates
from gateway.webrtc.config import WebRtcConfig
from gateway.webrtc.fragment import Fragment, read_fragment
from gateway.webrtc.offer import Offer, read_offer
from gateway.webrtc.peer import Peer, peer_counters
from gateway.webrtc.sdp_lines import FRAGMENT_BOUNDS, OFFER_BOUNDS
from gateway.webrtc.sender import silent_packet
from gateway.webrtc.turn_credentials import ice_server_links, turn_credentials
from gateway.webrtc.wanted import LAST_SEQ, RESUME_SECRET, Wanted, read_wanted
from gateway.websocket.ending import Ending, Exit
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.ids import SessionId

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
SESSION: Final = "Voicegate-Session"
MAX_PATCHES: Final = 64
"""Trickle requests of one session; a browser needs one to ten."""
_BODY_S: Final = 5.0
_EXPOSED: Final = f"Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch, {SESSION}"
_ALLOWED_HEADERS: Final = f"Authorization, Content-Type, If-Match, {RESUME_SECRET}, {LAST_SEQ}"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Session:
    """One WHIP session: what PATCH and DELETE need to know."""

    peer: Peer
    call: WebRtcCall
    leaving: Exit
    etag: str
    ufrag: str
    token: bytes
    """Digest of the Authorization header of the POST."""
    patches: int = 0


@dataclass(slots=True)
class WhipDoor:
    """The routes' handlers. ``tasks`` is the caller's and gets one task a call."""

    parts: GatewayParts
    config: WebRtcConfig
    tasks: asyncio.TaskGroup
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _call_parts: CallParts = field(init=False)
    _certificates: Certificates = field(init=False)

    def __post_init__(self) -> None:
        parts = self.parts
        self._certificates = Certificates(parts.clock)
        self._call_parts = CallParts(
            parts.calls,
            parts.metronome,
            parts.connections.hold,
            self.config,
            parts.config.limits,
            parts.clock,
            parts.telemetry,
            peer_counters(parts.telemetry),
            parts.telemetry.histogram("voicegate_webrtc_setup_seconds", "From the answer to media"),
        )

    async def prepare(self) -> None:
        """Load and make what the first call would wait for: libopus, a certificate, a packet of silence.

        Raises:
            AudioError: there is no libopus.
        """
        await asyncio.to_thread(silent_packet, OUTPUT_RATE_HZ)
        await asyncio.to_thread(self._certificates.newest)

    def routes(self) -> list[web.RouteDef]:
        one = "/whip/{resource}"
        return [
            web.post("/whip", self._answered(self._post)),
            web.options("/whip", self._answered(self._options)),
            web.patch(one, self._answered(self._patch)),
            web.delete(one, self._answered(self._delete)),
            web.options(one, self._answered(self._options)),
        ]

    def _answered(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                response = await handler(request)
            except RefusedCall as refusal:
                _log.log(told_at(refusal), "WHIP refused", code=refusal.code, peer=request.remote)
                response = problem_response(refusal)
            except StateUnavailable:
                self.parts.admission.refused("state_unavailable")
                message = "the state store is away; new calls cannot be taken"
                response = problem_response(RefusedCall("state_unavailable", message))
            _allow_origin(request, response)
            return response

        return answer

    # --- the endpoint ---

    async def _options(self, _request: web.Request) -> web.Response:
        return web.Response(
            headers={
                "Accept-Post": SDP,
                "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": "7200",
            }
        )

    async def _post(self, request: web.Request) -> web.Response:
        _check_type(request, SDP)
        try:
            offer = read_offer(await _body(request, OFFER_BOUNDS.size_bytes))
            wanted = read_wanted(request.query, request.headers)
        except RefusedCall as refusal:
            self.parts.admission.refused(refusal.code)
            raise
        with structlog.contextvars.bound_contextvars(session_id=wanted.session_id[:64]):
            granted = await self.parts.admission.admit(_knock(request, wanted.session_id))
            return await self._begin(request, offer, wanted, granted)

    async def _begin(self, request: web.Request, offer: Offer, wanted: Wanted, granted: Pass) -> web.Response:
        with ExitStack() as stack:
            stack.enter_context(self.parts.admission.seat())
            leaving = stack.enter_context(self.parts.connections.member())
            call_request = _call_request(wanted, granted)
            conversation = await self._attach(call_request)
            self.parts.connections.hold(conversation.session_id, leaving)
            call = WebRtcCall(self._call_parts, call_request, conversation, leaving)
            try:
                peer, answer = await self._listen(offer, call)
            except BaseException:
                _give_back(conversation, wanted)
                raise
            session = _Session(
                peer, call, leaving, _etag(), offer.login.ufrag, _digest(request.headers.get("Authorization", ""))
            )
            resource = secrets.token_urlsafe(18)
            self._sessions[resource] = session
            self.tasks.create_task(self._carry(call, resource, stack.pop_all()), name=f"whip {granted.session_id}")
        return web.Response(
            status=201, text=answer, content_type=SDP, headers=self._created(resource, session, granted)
        )

    async def _attach(self, call_request: CallRequest) -> Conversation:
        try:
            return await self.parts.calls.attach(call_request)
        except RefusedCall as refusal:
            # Without a resume secret, "unauthorized" can only mean a call that has its connection.
            anew = call_request.resume is None and refusal.code == "unauthorized"
            code = "in_use" if anew else refusal.code
            self.parts.admission.refused(code)
            raise RefusedCall(code, str(refusal), retry_after_s=refusal.retry_after_s) from None

    async def _listen(self, offer: Offer, call: WebRtcCall) -> tuple[Peer, str]:
        host = self.parts.config.host
        credentials = self._certificates.newest()
        peer = Peer(offer, credentials, self.config.policy(host), call, self._call_parts.counters)
        try:
            answer = await peer.listen(
                media_addresses(self.config, host),
                media_ports(self.config, secrets.randbelow(65_536)),
                self.config.public_address,
            )
            call.joined(peer)
        except OSError as error:
            _log.error("no socket for media", error=str(error))
            raise RefusedCall("busy", "no UDP port is free for this call") from None
        except BaseException:
            await peer.close()
            raise
        return peer, answer

    async def _carry(self, call: WebRtcCall, resource: str, stack: ExitStack) -> None:
        """One call's task. Nothing that happens in it may end the others'."""
        with stack:
            try:
                ending = await call.run()
            except Exception:
                _log.exception("a WebRTC call failed")
                return
            finally:
                self._sessions.pop(resource, None)
        name = ending.code.name.lower()
        self.parts.telemetry.counter("voicegate_gateway_closes_total", "Call connections closed", code=name).inc()
        _log.info("connection closed", code=int(ending.code), name=name, reason=ending.reason)

    def _created(self, resource: str, session: _Session, granted: Pass) -> list[tuple[str, str]]:
        headers = [("Location", f"/whip/{resource}"), ("ETag", session.etag), (SESSION, granted.session_id)]
        headers += [("Accept-Patch", FRAGMENT), ("Cache-Control", "no-store")]
        config, credentials = self.config, None
        if config.turn_secret:
            now_s = self.parts.clock.utc().timestamp()
            name = granted.session_id
            credentials = turn_credentials(config.turn_secret, name, now_s=now_s, good_for_s=config.turn_credentials_s)
        return headers + [("Link", link) for link in ice_server_links(config.ice_servers, credentials)]

    # --- the session ---

    async def _patch(self, request: web.Request) -> web.Response:
        session = self._session(request)
        _check_type(request, FRAGMENT)
        matched = request.headers.get("If-Match")
        if matched is None:
            raise RefusedCall("if_match_missing", "send the session's ETag as If-Match")
        fragment = self._bounded(session, await _body(request, FRAGMENT_BOUNDS.size_bytes))
        if matched == "*" or fragment.ufrag not in ("", session.ufrag):
            raise RefusedCall("ice_restart", "ICE restarts are not supported: the connection stays as it is")
        if matched != session.etag:
            raise RefusedCall("etag_mismatch", "the ETag is not that of the session")
        await session.peer.add(fragment.candidates)
        return web.Response(status=204)

    def _bounded(self, session: _Session, body: bytes) -> Fragment:
        session.patches += 1
        if session.patches > MAX_PATCHES:
            raise RefusedCall("too_many_requests", f"a session has at most {MAX_PATCHES} trickle requests")
        return read_fragment(body)

    async def _delete(self, request: web.Request) -> web.Response:
        session = self._session(request)
        session.leaving.leave(Ending(CloseCode.NORMAL, "DELETE", session.call.given_up))
        del self._sessions[request.match_info["resource"]]
        return web.Response()

    def _session(self, request: web.Request) -> _Session:
        session = self._sessions.get(request.match_info["resource"])
        if session is None:
            raise RefusedCall("unknown_session", "there is no such WHIP session, or it is over")
        if not hmac.compare_digest(session.token, _digest(request.headers.get("Authorization", ""))):
            raise RefusedCall("unauthorized", "send the token with which the session began")
        return session


def _call_request(wanted: Wanted, granted: Pass) -> CallRequest:
    if granted.agent and wanted.agent not in ("", granted.agent):
        raise RefusedCall("forbidden", f"the token is for the agent {granted.agent!r}")
    return CallRequest(
        SessionId(granted.session_id),
        "whip",
        OUTPUT_RATE_HZ,
        greeting=wanted.greeting,
        agent=granted.agent or wanted.agent,
        input_format="opus/48000",
        output_format="opus/48000",
        resume=wanted.resume,
    )


def _give_back(conversation: Conversation, wanted: Wanted) -> None:
    """The answer could not be made: a new call is over, one that was resumed waits on."""
    if wanted.resume is None:
        conversation.hang_up("client")
    else:
        conversation.detach()


def _check_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise RefusedCall("wrong_type", f"send Content-Type: {wanted}")


async def _body(request: web.Request, most: int) -> bytes:
    """The body, read no further than one byte above ``most``."""
    if request.content_length is not None and request.content_length > most:
        raise RefusedCall("too_large", f"at most {most} bytes are read")
    body = b""
    try:
        async with asyncio.timeout(_BODY_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > most:
                    raise RefusedCall("too_large", f"at most {most} bytes are read")
    except TimeoutError:
        raise RefusedCall("too_slow", f"the body did not come within {_BODY_S:g} s") from None
    return body


def _allow_origin(request: web.Request, response: web.Response) -> None:
    """Pages of every origin may read the answer; who may call is decided by token and origin, as on the WebSocket."""
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("Origin")
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def _knock(request: web.Request, session_id: str) -> Knock:
    headers = request.headers
    return Knock(
        session_id=session_id,
        peer=request.remote or "",
        host=headers.get("Host", ""),
        origin=headers.get("Origin"),
        authorization=headers.get("Authorization"),
        query_names=tuple(request.query),
        forwarding=tuple((name, value) for name in FORWARDING_HEADERS for value in headers.getall(name, [])),
    )


def _etag() -> str:
    return f'"{secrets.token_urlsafe(9)}"'


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
