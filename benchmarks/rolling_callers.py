"""Callers of every kind: each asks, waits for its answer, and comes back when its connection ends."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp

from gateway.close_codes import CloseCode
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.connection import CallFailed, CallTarget, Resume, connect
from voicegate.client.webrtc import connect_whip

QUESTIONS = ("What time is it?", "What are your opening hours?", "Tell me about Mill Lane.", "How much is it?")
TWILIO_TOKEN = "a-token-for-a-simulated-carrier"
_PAUSE_S = (0.5, 3.0)
"""From an answer to the next question."""
_PHONE_PAUSE_S = (3.0, 5.0)
"""From the last sound at the ear to the next entry by keys: nothing else tells a phone that an answer is over."""
_PATIENCE_S = 10.0
"""Longest wait for the agent's voice before asking again."""
_LOOK_S = 0.05
_LONGEST_S = 60.0
"""Of an answer."""
_AGAIN_S = 0.3
Kind = Literal["ws", "webrtc", "twilio"]


@dataclass
class Caller:
    """What one caller was told over all connections."""

    kind: Kind
    session_id: str
    """Of a phone: the caller's number, until the gateway's id is known."""
    seqs: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The events as they came, JSON."""
    connections: int = 0
    asked: int = 0
    """Questions that went into an open connection."""
    silent: int = 0
    """Of them, those after which the agent said nothing for so long that the caller asked again."""
    ended: str = ""
    """Why the call ended before its caller hung up."""
    secret: str = ""
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
    """The agent was heard."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """An answer was heard to its end."""
    longest_away_s: float = 0.0


async def talk(caller: Caller, url: str, over: asyncio.Event) -> None:
    """A caller with events: asks, and resumes whenever the connection ends."""
    away_since = time.monotonic()
    async with aiohttp.ClientSession() as http:
        while not (over.is_set() or caller.ended):
            resume = Resume(caller.secret, max(caller.seqs, default=0)) if caller.secret else None
            target = CallTarget(caller.session_id, url=url, via=_via(caller.kind), greeting=False, resume=resume)
            try:
                socket: Any = await (connect_whip if caller.kind == "webrtc" else connect)(http, target)
            except CallFailed as error:
                caller.ended = "gone" if _gone(error) else ""
                await asyncio.sleep(_AGAIN_S)
                continue
            if caller.connections:
                caller.longest_away_s = max(caller.longest_away_s, time.monotonic() - away_since)
            caller.connections += 1
            await _converse(caller, socket, resume, over)
            away_since = time.monotonic()
            await (socket.close(hang_up=False) if caller.kind == "webrtc" else socket.close())
            caller.ended = caller.ended or ("gone" if socket.close_code == CloseCode.GONE else "")


def _gone(error: CallFailed) -> bool:
    """The conversation is over, whatever the caller thinks."""
    return " 410 " in str(error)


def _via(kind: Kind) -> Literal["ws", "webrtc"]:
    return "webrtc" if kind == "webrtc" else "ws"


async def watch_lateness(worst_s: list[float]) -> None:
    """Append how late this process is, every time it is later than before; ``worst_s`` begins with a number."""
    while True:
        due = time.monotonic() + _LOOK_S
        await asyncio.sleep(_LOOK_S)
        if (late_s := time.monotonic() - due) > worst_s[-1]:
            worst_s.append(late_s)


async def _converse(caller: Caller, socket: Any, resume: Resume | None, over: asyncio.Event) -> None:
    """One connection, to its end."""
    async with asyncio.TaskGroup() as tasks:
        if caller.kind == "ws":
            first: dict[str, object] = {"type": "session.start", "greeting": False}
            if resume is not None:
                first = {"type": "session.resume", "secret": resume.secret, "lastSeq": resume.last_seq}
            await socket.send_str(json.dumps(first))
        asking = tasks.create_task(_ask(caller, socket, over))
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                _told(caller, message.data)
        asking.cancel()


def _told(caller: Caller, text: str) -> None:
    message = json.loads(text)
    match message["type"]:
        case "session.welcome":
            caller.secret = message["resumeSecret"]
        case "reply.heard":
            caller.spoken.set()
        case "reply.finished":
            caller.spoken.set()
            caller.finished.set()
        case "session.ended":
            caller.ended = message["reason"]
    if "seq" in message:
        caller.seqs.append(message["seq"])
        caller.texts.append(text)


async def _ask(caller: Caller, socket: Any, over: asyncio.Event) -> None:
    try:
        while not over.is_set():
            await asyncio.sleep(random.uniform(*_PAUSE_S))
            caller.spoken.clear()
            caller.finished.clear()
            await socket.send_str(json.dumps({"type": "text", "text": QUESTIONS[caller.asked % len(QUESTIONS)]}))
            caller.asked += 1
            if not await _within(_PATIENCE_S, caller.spoken):
                caller.silent += 1
            elif not caller.finished.is_set():
                await _within(_LONGEST_S, caller.finished)
        await socket.send_str('{"type":"session.end"}')
    except ConnectionError:
        return  # the reader sees the end, and the next connection asks again


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def phone(caller: Caller, url: str, over: asyncio.Event, number: str) -> None:
    """A caller on the phone: presses keys; the carrier asks its action when the stream ends."""
    async with PhoneCall(PhoneTarget("twilio", url, secret=TWILIO_TOKEN, caller=number)) as call:
        try:
            while not over.is_set():
                pause_s = random.uniform(*_PHONE_PAUSE_S)
                await call.until(lambda: _quiet_s(call) >= pause_s, _LONGEST_S)  # noqa: B023 - it has returned by then
                await _press(caller, call)
            await call.until(lambda: _quiet_s(call) >= _PHONE_PAUSE_S[0], _LONGEST_S)
        except CallFailed as error:
            caller.ended = str(error)
        caller.connections, caller.longest_away_s = call.streams, call.longest_away_s
        await call.hang_up()


async def _press(caller: Caller, call: PhoneCall) -> None:
    """An entry by keys; returns when the agent is heard.

    Raises:
        CallFailed: the call is over.
    """
    heard, streams = call.tape.agent_end, call.streams
    try:
        call.press(f"{caller.asked}#")
    except CallFailed:  # between two streams a carrier has nobody to give keys to
        return await call.wait_s(_AGAIN_S)
    caller.asked += 1
    if not await call.until(lambda: call.tape.agent_end > heard or call.streams > streams, _PATIENCE_S):
        caller.silent += 1
    return None


def _quiet_s(call: PhoneCall) -> float:
    """Since the agent's last sound at the caller's ear, by the carrier's clock: this process may be late."""
    late_s = call.lateness_s[-1] if call.lateness_s else 0.0
    return call.now_s - late_s - call.tape.time_s(call.tape.agent_end)
