"""The ways in which a call can go, each as a caller: by WebSocket, by Twilio's webhook and media stream, by WebRTC.

A caller asks by text (WebSocket) or by a telephone key, hears the beginning of the answer, and ends as its fate says:
``normal`` with a goodbye, ``hang-up`` in the middle of the answer, ``killed`` without a word, ``cancelled`` in set-up.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp

from benchmarks.webrtc_caller import Caller
from gateway.webrtc.certificate import Credentials
from voicegate.kernel.audio import FRAME_MS

Fate = Literal["normal", "hang-up", "killed", "cancelled"]
Kind = Literal["websocket", "twilio", "webrtc"]
FATES: Final[tuple[Fate, ...]] = ("normal", "hang-up", "killed", "cancelled")
WEBRTC_EVERY: Final = 25
"""One call in so many is one by WebRTC: setting up DTLS costs more than all the rest."""
_AUDIO_S, _WEBRTC_PACKETS, _LISTEN_S = 10.0, 25, 0.2


class NotAnswered(Exception):
    """A call without the audio that it should have had."""


@dataclass(slots=True)
class Place:
    """Where callers call, and what they share."""

    url: str
    """``http://host:port``."""
    http: aiohttp.ClientSession
    credentials: Credentials
    voice: list[bytes]
    """Opus packets."""
    numbers: Iterator[int]
    """Of calls, one for all places."""


def plan(number: int) -> tuple[Kind, Fate]:
    """Kind and fate of call ``number``: all pairs come, evenly."""
    fate = FATES[number % len(FATES)]
    if number % WEBRTC_EVERY == WEBRTC_EVERY - 1:
        return "webrtc", FATES[number // WEBRTC_EVERY % len(FATES)]
    return ("websocket" if number // len(FATES) % 2 else "twilio"), fate


async def call(kind: Kind, fate: Fate, place: Place) -> None:
    """One call, to its end.

    Raises:
        NotAnswered: no audio came.
        aiohttp.ClientError: it was refused.
    """
    callers: dict[Kind, Callable[[Fate, Place], Awaitable[None]]] = {
        "websocket": _websocket, "twilio": _twilio, "webrtc": _webrtc,
    }  # fmt: skip
    await callers[kind](fate, place)


async def _websocket(fate: Fate, place: Place) -> None:
    name = f"fate-{os.getpid()}-{next(place.numbers)}"
    socket = await place.http.ws_connect(f"{place.url}/voice/{name}", protocols=("voice.v1",), max_msg_size=0)
    try:
        if fate == "cancelled":
            if random.random() < 0.5:
                await socket.send_json({"type": "session.start"})
            _abort(socket)
            return
        await socket.send_json({"type": "session.start", "greeting": False})
        await socket.send_json({"type": "text", "text": "Are you there?"})
        await _audio(socket, lambda message: message.type is aiohttp.WSMsgType.BINARY)
        if fate == "killed":
            _abort(socket)
        elif fate == "normal":
            await socket.send_json({"type": "session.end"})
            async for _ in socket:
                pass
    finally:
        await socket.close()


async def _twilio(fate: Fate, place: Place) -> None:
    number = next(place.numbers)
    call_id, stream_id = f"CA{os.getpid():016x}{number:016x}", f"MZ{os.getpid():016x}{number:016x}"
    fields = {"CallSid": call_id, "Direction": "inbound", "CallStatus": "ringing", "From": f"+1555{number:07}"}
    async with place.http.post(f"{place.url}/phone/twilio/answer", data=fields) as answer:
        answer.raise_for_status()
        token = (await answer.text()).partition('name="token" value="')[2].partition('"')[0]
    if not token:
        raise NotAnswered("the webhook gave no token")
    if fate == "cancelled" and number % 2:
        return  # hung up while it rang: the stream never comes
    socket = await place.http.ws_connect(f"{place.url}/phone/twilio", max_msg_size=0)
    try:
        await socket.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        if fate == "cancelled":
            _abort(socket)
            return
        await socket.send_json(_start(call_id, stream_id, token))
        await _audio(socket, lambda message: b'"media"' in _bytes(message))
        if fate == "killed":
            _abort(socket)
            return
        if fate == "normal":
            await asyncio.sleep(_LISTEN_S)
        await socket.send_json({"event": "stop", "streamSid": stream_id, "stop": {"callSid": call_id}})
    finally:
        await socket.close()


def _start(call_id: str, stream_id: str, token: str) -> dict[str, object]:
    media = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {
        "accountSid": "AC" + "0" * 32, "streamSid": stream_id, "callSid": call_id, "tracks": ["inbound"],
        "mediaFormat": media, "customParameters": {"token": token},
    }  # fmt: skip
    return {"event": "start", "sequenceNumber": "1", "streamSid": stream_id, "start": start}


async def _webrtc(fate: Fate, place: Place) -> None:
    caller = Caller(place.credentials, place.voice, 1 + next(place.numbers))
    connecting = asyncio.ensure_future(caller.connect(place.http, place.url))
    if fate == "cancelled":
        await asyncio.wait({connecting}, timeout=random.uniform(0.0, 0.1))
        connecting.cancel()
        await asyncio.wait({connecting})
        await caller.vanish()
        return
    await connecting
    for _ in range(round(_AUDIO_S * 1000 / FRAME_MS)):
        caller.tick()
        await asyncio.sleep(FRAME_MS / 1000)
        if len(caller.arrivals) >= _WEBRTC_PACKETS:
            break
    else:
        raise NotAnswered("no packet came")
    if fate == "killed":
        await caller.vanish()
    else:
        await caller.hang_up(place.http, place.url)


async def _audio(socket: aiohttp.ClientWebSocketResponse, is_audio: Callable[[aiohttp.WSMessage], bool]) -> None:
    try:
        async with asyncio.timeout(_AUDIO_S):
            async for message in socket:
                if is_audio(message):
                    return
    except TimeoutError:
        raise NotAnswered("no audio came in time") from None
    raise NotAnswered(f"the call ended with {socket.close_code}")


def _bytes(message: aiohttp.WSMessage) -> bytes:
    return message.data.encode() if isinstance(message.data, str) else b""


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    """As a peer whose machine lost its power, so far as one process can."""
    line = socket._response.connection
    if line is not None and line.transport is not None:
        line.transport.abort()
