"""``WS /api/v1/notifications``: tells a client of its organisation as things happen."""

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from control_api.db.database import DatabaseAway
from control_api.identity.caller import Caller
from control_api.notifications import messages as say
from control_api.notifications.facts import KINDS
from control_api.notifications.hub import Subscription
from control_api.parts import ControlParts, Parts
from control_api.problems import Problem
from sessions.notifications import Told
from voicegate.kernel.errors import StateUnavailable

router = APIRouter(tags=["notifications"])

READ = "notifications:read"
_FIRST_S = 10.0
_SEND_S = 10.0
_LOOK_S = 1.0
_HEARTBEAT_S = 15.0
_MOST_EACH = 20


class _Over(Exception):
    """The connection ends with this code; None: it has ended."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


@router.websocket("/notifications")
async def notifications(websocket: WebSocket, parts: Parts) -> None:
    """See ``docs/control-api.md``."""
    code: int | None = None
    try:
        await _serve(websocket, parts)
    except* _Over as over:
        code = next(each.code for each in _leaves(over))
    except* WebSocketDisconnect:
        pass
    except* (StateUnavailable, DatabaseAway):
        code = say.UNAVAILABLE
    if code is not None:
        with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(_SEND_S):
                await websocket.close(code, say.MEANINGS[code])


async def _serve(websocket: WebSocket, parts: ControlParts) -> None:
    address = websocket.client.host if websocket.client else "unknown"
    crowded = await parts.limits.take(f"address:{address}", parts.config.strangers)
    token = say.offered_token(websocket.scope["subprotocols"])
    known = say.SUBPROTOCOL in websocket.scope["subprotocols"]
    await websocket.accept(say.SUBPROTOCOL if known else None)
    if crowded:
        raise _Over(say.MANY)
    if token:
        said = _checked(say.Authenticate(token, websocket.query_params.get("lastEventId", "")))
    else:
        said = await _first(websocket)
    client = _Client(websocket, parts, said.token, await _caller(parts, said.token))
    if parts.hub.count(client.caller.organization_id, client.caller.name) >= _MOST_EACH:
        raise _Over(say.MANY)
    await client.run(said.last_event_id)


class _Client:
    def __init__(self, websocket: WebSocket, parts: ControlParts, token: str, caller: Caller) -> None:
        self._websocket, self._parts, self._token = websocket, parts, token
        self.caller = caller

    async def run(self, last_event_id: str) -> None:
        """Until the connection ends, with an exception that says why."""
        hub = self._parts.hub
        subscription = await hub.join(self.caller.organization_id, self.caller.name)
        try:
            sent = await self._catch_up(subscription, last_event_id)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._tell(subscription, sent))
        finally:
            hub.leave(subscription)

    async def _catch_up(self, subscription: Subscription, last_event_id: str) -> str:
        """Tell what came after the client's last event. Returns the id of the last one that it knows now: what has been
        offered meanwhile may come twice."""
        board, organization = self._parts.hub.board, subscription.organization_id
        if not last_event_id:
            newest = await board.newest(organization)
            await self._send(say.ready(newest, complete=True))
            return newest
        complete = await board.has(organization, last_event_id)
        newest = await board.newest(organization)
        missed = await board.after(organization, last_event_id)
        await self._send(say.ready(last_event_id, complete=complete))
        for told in missed:
            await self._pass_on(told)
        if missed:
            return missed[-1].id
        return last_event_id if complete else newest  # an id that never was must not hide what comes

    async def _listen(self) -> None:
        """The client may bring a fresh token, and else has nothing to say."""
        while True:
            said = _understood(await self._websocket.receive())
            caller = await _caller(self._parts, said.token)
            if caller.id != self.caller.id:
                raise _Over(say.UNAUTHORIZED)
            self._token, self.caller = said.token, caller

    async def _tell(self, subscription: Subscription, sent: str) -> None:
        conditions, clock = self._parts.conditions, self._parts.clock
        service, spoke_s = conditions.newest, clock.monotonic()
        for each in conditions.current:
            await self._send(say.service(each.code, each.detail, each.since.isoformat()))
        while True:
            told = await _next(subscription)
            if subscription.too_slow:
                raise _Over(say.SLOW)
            if told is not None and say.position(told.id) > say.position(sent):
                await self._pass_on(told)
                sent = told.id
            for change in conditions.after(service):
                service = change.number
                await self._send(say.service(change.code, change.message, change.at.isoformat()))
            if clock.monotonic() - spoke_s >= _HEARTBEAT_S:
                spoke_s = clock.monotonic()
                await self._look_at_token()
                await self._send(say.heartbeat(clock.utc().isoformat()))

    async def _look_at_token(self) -> None:
        """A connection is good for as long as its token, and its user's role is what it is now."""
        with contextlib.suppress(DatabaseAway):
            self.caller = await _caller(self._parts, self._token)

    async def _pass_on(self, told: Told) -> None:
        permission = KINDS.get(say.kind_of(told.payload))
        if permission in self.caller.permissions:
            await self._send(say.notification(told.id, told.payload))

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(_SEND_S):
                await self._websocket.send_text(text)
        except TimeoutError:
            raise _Over(say.SLOW) from None


async def _next(subscription: Subscription) -> Told | None:
    try:
        async with asyncio.timeout(_LOOK_S):
            return await subscription.waiting.get()
    except TimeoutError:
        return None


async def _first(websocket: WebSocket) -> say.Authenticate:
    try:
        async with asyncio.timeout(_FIRST_S):
            return _understood(await websocket.receive())
    except TimeoutError:
        raise _Over(say.LATE) from None


def _understood(message: object) -> say.Authenticate:
    match message:
        case {"type": "websocket.disconnect"}:
            raise _Over(None)
        case {"text": str() as text}:
            pass
        case _:
            raise _Over(say.MALFORMED)
    try:
        return say.read(text)
    except say.Malformed:
        raise _Over(say.MALFORMED) from None


def _checked(said: say.Authenticate) -> say.Authenticate:
    try:
        if said.last_event_id:
            say.position(said.last_event_id)
    except say.Malformed:
        raise _Over(say.MALFORMED) from None
    return said


async def _caller(parts: ControlParts, token: str) -> Caller:
    try:
        caller = await parts.authenticator.caller(token)
    except Problem:
        raise _Over(say.UNAUTHORIZED) from None
    if READ not in caller.permissions:
        raise _Over(say.FORBIDDEN)
    return caller


def _leaves(group: BaseExceptionGroup[_Over]) -> list[_Over]:
    found: list[_Over] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
