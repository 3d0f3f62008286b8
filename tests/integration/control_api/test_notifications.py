"""Notifications: told as things happen, to those who may know, by whichever process has them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from control_api.notifications import hub as hubs
from control_api.notifications import socket as endpoint
from control_api.notifications.announcer import Announcer
from control_api.notifications.hub import Hub
from control_api.server import MOST_MESSAGE_BYTES
from sessions.connection import end
from sessions.notifications import NoticeBoard, Posted
from tests.integration.control_api.api import Client, World
from tests.integration.control_api.test_conversations import a_published_agent, calling, found, started
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import Notice, SessionEnded

pytestmark = pytest.mark.asyncio(loop_scope="module")
Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def connected(world: World, **options: Any) -> AsyncIterator[Socket]:
    async with world.http.ws_connect(f"{world.url}/api/v1/notifications", **options) as ws:
        yield ws


@asynccontextmanager
async def listening(world: World, who: Client | None = None, last: str = "") -> AsyncIterator[Socket]:
    """A client that is told from now on, or from ``last`` on."""
    async with connected(world) as ws:
        await ws.send_json({"type": "authenticate", "token": (who or world.user()).token, "lastEventId": last})
        assert (await hear(ws))["type"] == "ready"
        yield ws


async def hear(ws: Socket) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await ws.receive_str())
            if message["type"] != "heartbeat":
                return message


async def hear_of(ws: Socket, name: str, value: object, count: int) -> list[dict[str, Any]]:
    """So many messages whose data says this."""
    heard: list[dict[str, Any]] = []
    while len(heard) < count:
        message = await hear(ws)
        heard += [message] if message.get("data", {}).get(name) == value else []
    return heard


async def ended(ws: Socket) -> int | None:
    """The code with which the server closes."""
    async with asyncio.timeout(10):
        while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return ws.close_code


async def a_call(world: World, agent: str) -> str:
    async with calling(world, agent) as log:
        log.emit(started(log))
        now = SystemClock().utc()
        log.emit(Notice(session_id=log.record.id, seq=2, at=now, code="redis_away", message="x"))
        log.emit(SessionEnded(session_id=log.record.id, seq=3, at=now, reason="client"))
        session_id = log.record.id
    await found(world, session_id, "ended")
    return session_id


async def test_a_call_is_told_of_once_and_in_order(world: World) -> None:
    agent = await a_published_agent(world)
    async with listening(world) as ours, listening(world, world.user(company=world.theirs)) as theirs:
        session_id = await a_call(world, agent)
        heard = await hear_of(ours, "sessionId", session_id, 3)
        kinds = [each["type"] for each in heard]
        assert kinds[0] == "conversation.started"
        assert sorted(kinds[1:]) == ["conversation.ended", "conversation.notice"]
        assert heard[0]["data"]["agentId"] == agent
        assert next(each["data"]["code"] for each in heard if each["type"] == "conversation.notice") == "redis_away"
        # Whatever is told to the others first comes after all that could have been told to them by mistake.
        await NoticeBoard(world.parts.redis).put([Posted(str(world.theirs.id), str(uuid4()), told("theirs"))])
        assert (await hear(theirs))["data"] == {"n": "theirs"}


def told(name: str, kind: str = "service") -> bytes:
    return json.dumps({"type": kind, "at": "x", "data": {"n": name}}).encode()


async def post(world: World, *names: str, kind: str = "service") -> None:
    notices = [Posted(str(world.ours.id), f"{uuid4()}", told(name, kind)) for name in names]
    await NoticeBoard(world.parts.redis).put(notices)


async def test_a_publication_is_told_of(world: World) -> None:
    async with listening(world, world.user("analyst")) as ws:
        agent = await a_published_agent(world)
        heard = await hear_of(ws, "agentId", agent, 1)
        assert (heard[0]["type"], heard[0]["data"]["version"]) == ("agent.published", 1)


async def test_nobody_is_told_what_he_may_not_know(world: World) -> None:
    """The role billing may not read conversations; a kind that nobody knows is for nobody."""
    async with listening(world, world.user("billing")) as ws:
        await post(world, "a", kind="conversation.started")
        await post(world, "b", kind="of a newer version")
        await post(world, "c", kind="credits.low")
        assert (await hear(ws))["data"] == {"n": "c"}


async def test_who_comes_back_misses_nothing(world: World) -> None:
    async with listening(world) as ws:
        await post(world, "1", "2")
        first = await hear(ws)
        assert first["data"] == {"n": "1"}
    await post(world, "3")
    async with connected(world) as ws:
        await ws.send_json({"type": "authenticate", "token": world.user().token, "lastEventId": first["id"]})
        ready = await hear(ws)
        assert (ready["complete"], ready["lastEventId"]) == (True, first["id"])
        assert [(await hear(ws))["data"]["n"] for _ in range(2)] == ["2", "3"]
        await post(world, "4")
        assert (await hear(ws))["data"] == {"n": "4"}
    async with connected(world) as ws:  # an id that never was: told so, and told what comes all the same
        await ws.send_json({"type": "authenticate", "token": world.user().token, "lastEventId": "999999999999999-0"})
        assert (await hear(ws))["complete"] is False
        await post(world, "5")
        assert (await hear(ws))["data"] == {"n": "5"}


async def test_a_token_as_subprotocol(world: World) -> None:
    offered = ("voicegate.notifications.v1", f"bearer.{world.user().token}")
    async with connected(world, protocols=offered) as ws:
        assert ws.protocol == "voicegate.notifications.v1"
        assert (await hear(ws))["type"] == "ready"


Say = Callable[[World], Any]


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (lambda _: "hello", 4400),
        (lambda _: b"\x00", 4400),
        (lambda _: '{"type":"authenticate","token":"x"}', 4401),
        (lambda _: '{"type":"authenticate","token":""}', 4401),
        (lambda world: json.dumps({"type": "authenticate", "token": world.user().token, "lastEventId": "$"}), 4400),
        (lambda _: "x" * (MOST_MESSAGE_BYTES + 1), 1009),
    ],
)
async def test_who_does_not_say_who_he_is(world: World, say: Say, code: int) -> None:
    async with connected(world) as ws:
        said = say(world)
        await (ws.send_bytes(said) if isinstance(said, bytes) else ws.send_str(said))
        assert await ended(ws) == code


async def test_a_token_in_the_address_counts_for_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_FIRST_S", 0.05)
    address = f"{world.url}/api/v1/notifications?token={world.user().token}"
    async with world.http.ws_connect(address) as ws:
        assert await ended(ws) == 4408


async def test_a_key_without_the_permission(world: World) -> None:
    key = await world.key("agents:read")
    async with connected(world) as ws:
        await ws.send_json({"type": "authenticate", "token": key.token})
        assert await ended(ws) == 4403


async def test_a_fresh_token_must_be_of_the_same_person(world: World) -> None:
    async with listening(world) as ws:
        await ws.send_json({"type": "authenticate", "token": world.user().token})
        await post(world, "still there")
        assert (await hear(ws))["data"] == {"n": "still there"}
        await ws.send_json({"type": "authenticate", "token": world.user("admin").token})
        assert await ended(ws) == 4401


async def test_a_key_that_is_revoked_ends_the_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_HEARTBEAT_S", 0.05)
    monkeypatch.setattr(endpoint, "_LOOK_S", 0.05)
    key = await world.key("notifications:read")
    async with listening(world, key) as ws:
        keys = (await world.user().get("/api-keys?limit=100")).body["items"]
        mine = next(each["id"] for each in keys if key.token.startswith(each["prefix"]))
        assert (await world.user().delete(f"/api-keys/{mine}")).status == 204
        assert await ended(ws) == 4401


async def test_connections_of_one_caller_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_MOST_EACH", 1)
    async with listening(world, world.user("agent")), connected(world) as second:
        await second.send_json({"type": "authenticate", "token": world.user("agent").token})
        assert await ended(second) == 4429


async def test_who_does_not_keep_up_is_dropped_and_the_others_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose socket is never read: its buffers fill, then its queue; nobody else waits for it."""
    monkeypatch.setattr(hubs, "QUEUE", 4)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = world.url.removeprefix("http://").split(":")
    stuck.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stuck, ("127.0.0.1", int(port)))
    await loop.sock_sendall(
        stuck,
        f"GET /api/v1/notifications HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: bearer.{world.user('developer').token}\r\n\r\n".encode(),
    )
    assert (await loop.sock_recv(stuck, 300)).startswith(b"HTTP/1.1 101")
    name = f"user:{world.ours.users['developer'].id}"
    async with asyncio.timeout(30), listening(world) as ws:
        while not world.parts.hub.count(world.ours.id, name):
            await asyncio.sleep(0.01)
        heard = 0
        while world.parts.hub.count(world.ours.id, name):
            assert heard < 2_000, "it is still there"
            await post(world, "x" * 20_000)
            assert len((await hear(ws))["data"]["n"]) == 20_000
            heard += 1
            monkeypatch.setattr(endpoint, "_SEND_S", 0.2)
    stuck.close()


async def test_every_process_tells_what_any_of_them_learns(world: World) -> None:
    """A second process, with a hub of its own on the same Redis."""
    hub = Hub(NoticeBoard(world.parts.redis))
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10):
        reading = tasks.create_task(hub.run())
        subscription = await hub.join(world.ours.id, "somebody")
        await post(world, "there")
        assert json.loads((await subscription.waiting.get()).payload)["data"] == {"n": "there"}
        hub.leave(subscription)
        await end([reading])


async def test_what_is_delivered_twice_is_told_once(world: World) -> None:
    """A process that died after telling, before it could say so, has left the row to the next one."""
    board = NoticeBoard(world.parts.redis)
    last = await board.newest(str(world.ours.id))
    for _ in range(3):
        await board.put([Posted(str(world.ours.id), "outbox:the same", told("once"))])
    assert [each.payload for each in await board.after(str(world.ours.id), last)] == [told("once")]


async def test_credits_that_run_out_are_told_of_once_an_hour(world: World) -> None:
    board = NoticeBoard(world.parts.redis)
    announcer = Announcer(world.parts.database, board, SystemClock(), 1_000)
    organization = uuid4()
    await announcer.of_credits({organization: 1_000})
    assert await board.after(str(organization), "0-0") == []
    for micro in (999, 998):
        await announcer.of_credits({organization: micro})
    payloads = [json.loads(each.payload) for each in await board.after(str(organization), "0-0")]
    assert [(each["type"], each["data"]) for each in payloads] == [("credits.low", {"availableMicro": 999})]
