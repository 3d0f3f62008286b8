"""A carrier calls: it asks the answer webhook where it has one, and opens the stream.

Each failure says in words what the carrier met and what the operator can do about it.
"""

import asyncio
import secrets
import uuid
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

import aiohttp

from voicegate.client.carriers.answers import AnswerNotUnderstood, EndOrder, Order, StreamOrder
from voicegate.client.carriers.leg import CallFacts, Leg
from voicegate.client.carriers.legs import open_leg
from voicegate.client.carriers.proofs import Freshness, Request, read_answer, upgrade, uuid_question, webhook
from voicegate.client.carriers.sockets import Line, TcpLine, WebSocketLine
from voicegate.client.carriers.target import BY_WEBHOOK, PhoneTarget
from voicegate.client.connection import CallFailed, GatewayUnreachable
from voicegate.kernel.clock import Clock

_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Stream:
    """An open stream."""

    leg: Leg
    line: Line
    facts: CallFacts
    action: str = ""
    """Where the carrier asks what to do when it is over."""


class CallEnded(CallFailed):
    """The gateway answered, and ends the call."""

    code = "call_ended"


async def dial(http: aiohttp.ClientSession, target: PhoneTarget, facts: CallFacts, clock: Clock) -> Stream:
    """Place the call.

    Raises:
        GatewayUnreachable: nobody listens there.
        CallEnded: the answer ends the call.
        CallFailed: the call was refused, or the answer was not understood.
    """
    if target.via == "audiosocket":
        return await _tcp(http, target, facts)
    if target.via not in BY_WEBHOOK:
        return await _open(http, target, facts, None, clock)
    url = f"{target.known_as(socket=False)}/phone/{target.via}/answer"
    return await follow(http, target, facts, url, clock)


async def follow(
    http: aiohttp.ClientSession, target: PhoneTarget, facts: CallFacts, url: str, clock: Clock, **more: str
) -> Stream:
    """Ask the webhook at ``url`` and do what it says. Raises as :func:`dial`."""
    request = webhook(target, facts, url, _fresh(clock), **more)
    text = await _ask(http, target, request)
    try:
        order: Order = read_answer(target, text)
        if isinstance(order, StreamOrder):
            return await _open(http, target, facts, order, clock, asked_at=url)
    except AnswerNotUnderstood as error:
        raise CallFailed(f"{target.via} would not understand the answer of {url}: {error}") from error
    assert isinstance(order, EndOrder)
    raise CallEnded(f"the gateway ends the call: {order.why}")


async def _ask(http: aiohttp.ClientSession, target: PhoneTarget, request: Request) -> str:
    url = target.reachable(request.url)
    try:
        async with (
            asyncio.timeout(_CONNECT_S),
            http.post(url, data=request.body, headers=dict(request.headers)) as response,
        ):
            text = await response.text()
    except (aiohttp.ClientConnectionError, TimeoutError) as error:
        raise _unreachable(target) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise CallFailed(f"{url} cannot be asked: {error}") from error
    if response.status != 200:
        raise CallFailed(f"the webhook {url} refused the call: {_meaning(response.status)}")
    return text


async def _open(
    http: aiohttp.ClientSession,
    target: PhoneTarget,
    facts: CallFacts,
    order: StreamOrder | None,
    clock: Clock,
    *,
    asked_at: str = "",
) -> Stream:
    try:
        leg = open_leg(target, facts, order)
    except (ValueError, KeyError) as error:
        raise CallFailed(f"{target.format!r} is no format of {target.via}") from error
    asked = upgrade(target, facts, order, _fresh(clock))
    url = target.reachable(asked.url)
    if urlsplit(url).scheme not in ("ws", "wss"):
        raise AnswerNotUnderstood(f"{asked.url} is no address of a WebSocket")
    try:
        async with asyncio.timeout(_CONNECT_S):
            socket = await http.ws_connect(
                url, headers=dict(asked.headers), protocols=asked.protocols, max_msg_size=0, autoping=True
            )
    except aiohttp.WSServerHandshakeError as error:
        raise CallFailed(
            f"the gateway refused the stream at {_without_token(url)}: {_meaning(error.status)}"
        ) from error
    except (aiohttp.ClientConnectionError, TimeoutError) as error:
        raise _unreachable(target) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise CallFailed(f"{_without_token(url)} cannot be called: {error}") from error
    if asked.protocol_needed and socket.protocol is None:
        await socket.close()
        raise CallFailed(f"the gateway chose none of the subprotocols {', '.join(asked.protocols)}")
    action = urljoin(asked_at, order.action) if order and order.action else ""
    return Stream(leg, WebSocketLine(socket), facts, action)


async def _tcp(http: aiohttp.ClientSession, target: PhoneTarget, facts: CallFacts) -> Stream:
    address = urlsplit(target.url)
    port = address.port if address.scheme == "tcp" else target.tcp_port
    if address.scheme != "tcp" and not target.call_id:
        text = await _ask(http, target, uuid_question(target, facts))
        facts = replace(facts, call_id=text.strip())
    try:
        leg = open_leg(target, facts, None)
        uuid.UUID(facts.call_id)
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(address.hostname, port or target.tcp_port)
    except (OSError, TimeoutError) as error:
        raise GatewayUnreachable(
            f"nobody listens for AudioSocket at {address.hostname}:{port or target.tcp_port}: is it switched on there?"
        ) from error
    except ValueError as error:
        raise CallFailed(f"{facts.call_id!r} is no UUID: AudioSocket calls have one") from error
    return Stream(leg, TcpLine(reader, writer), facts)


def _fresh(clock: Clock) -> Freshness:
    return Freshness(round(clock.utc().timestamp()), secrets.token_urlsafe(24))


def _unreachable(target: PhoneTarget) -> GatewayUnreachable:
    return GatewayUnreachable(
        f"no gateway answers at {target.url}: start one with `voicegate serve`, or name another by --url"
    )


def _without_token(url: str) -> str:
    """A path may hold a capability."""
    return "/".join(url.split("/")[:5])


def _meaning(status: int) -> str:
    match status:
        case 401 | 403:
            return (
                f"HTTP status {status}: it does not believe the signature, or a token is wrong, old or used (--secret)"
            )
        case 404:
            return "it has no such address; is this carrier switched on there?"
        case 429:
            return "too many calls from here; wait a moment"
        case 503:
            return "it is full, shutting down or not ready; see its /health/ready"
        case _:
            return f"HTTP status {status}"
