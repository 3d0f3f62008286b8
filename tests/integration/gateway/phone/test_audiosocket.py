"""AudioSocket at its line: UUIDs that are good once, every cut, garbage, and pace."""

import asyncio
import base64
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import pytest

from gateway.phone.audiosocket.config import AudioSocketConfig
from gateway.phone.audiosocket.listener import audiosocket_listener
from gateway.phone.audiosocket.wire import Message, MessageReader, encode
from gateway.phone.capability import NotesHere
from tests.integration.gateway.phone.ringing import Ringing, ringing, say, soon, talks_and_listens, tone
from voicegate.client.carriers.phone import PhoneCall
from voicegate.kernel.errors import ConfigError, RefusedCall
from voicegate.phones import phone_parts
from voicegate.settings import load

HANG_UP = Message(0)


@dataclass(slots=True)
class Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def closed(self) -> list[Message]:
        """Everything until the gateway closes."""
        async with asyncio.timeout(10):
            return MessageReader().push(await self.reader.read())


@asynccontextmanager
async def line(gateway: Ringing) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.audiosocket_port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(gateway: Ringing, headers: Mapping[str, str] = {}, query: str = "") -> tuple[int, str]:
    url = f"{gateway.http}/phone/audiosocket/answer?{query}"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        return response.status, await response.text()


async def test_a_call_with_a_uuid_of_ours() -> None:
    async with ringing(audiosocket=True) as gateway:
        status, call_id = await ask(gateway, query="caller=%2B1555&called=100")
        assert status == 200
        async with PhoneCall(gateway.target("audiosocket", call_id=call_id)) as phone:
            call = await gateway.answered()
            assert call.request.context == {
                "provider": "audiosocket",
                "call_id": call_id,
                "caller": "+1555",
                "called": "100",
            }
            await talks_and_listens(phone, call)


async def test_a_uuid_is_good_once() -> None:
    async with ringing(audiosocket=True) as gateway:
        _, call_id = await ask(gateway)
        hello = encode(1, uuid.UUID(call_id).bytes)
        async with line(gateway) as first:
            first.writer.write(hello)
            await gateway.answered()
            async with line(gateway) as second:
                second.writer.write(hello + encode(0x10, bytes(320)))
                assert await second.closed() == [HANG_UP]
        assert len(gateway.calls.calls) == 1


async def test_a_uuid_of_nobody_begins_no_call() -> None:
    async with ringing(audiosocket=True) as gateway, line(gateway) as wire:
        wire.writer.write(encode(1, uuid.uuid4().bytes) + encode(0x10, bytes(320)))
        assert await wire.closed() == [HANG_UP]
        assert not gateway.calls.calls


async def test_who_may_ask_for_a_uuid() -> None:
    right = {"Authorization": "Basic " + base64.b64encode(b"pbx:password").decode()}
    wrong = {"Authorization": "Basic " + base64.b64encode(b"pbx:guess").decode()}
    async with ringing(audiosocket=True, audiosocket_credentials="pbx:password") as gateway:
        assert (await ask(gateway, right))[0] == 200
        assert (await ask(gateway))[0] == 401
        assert (await ask(gateway, wrong))[0] in (401, 403)
        assert (await ask(gateway, {"Authorization": "Bearer guess"}))[0] == 401
    async with ringing(audiosocket=True) as gateway:
        assert (await ask(gateway, {"X-Forwarded-For": "203.0.113.9"}))[0] == 401


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n" + bytes(2**15),
        encode(0x10, bytes(320)),
        encode(1, b"short"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
    ],
)
async def test_garbage_is_hung_up_on(garbage: bytes) -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway, line(gateway) as wire:
        wire.writer.write(garbage)
        assert (await wire.closed())[-1:] == [HANG_UP]
        assert not gateway.calls.calls


async def test_any_cut_is_the_same_call() -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway, line(gateway) as wire:
        audio = tone(0.1, 8_000).tobytes()
        data = encode(1, uuid.uuid4().bytes) + b"".join(
            encode(0x10, audio[at : at + 320]) for at in range(0, 1600, 320)
        )
        for byte in data + encode(3, b"7"):
            wire.writer.write(bytes([byte]))
            await wire.writer.drain()
        call = await gateway.answered()
        await soon(lambda: "key 7" in call.log)
        assert len(call.heard) >= 4


async def test_one_frame_leaves_every_20_ms() -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway, line(gateway) as wire:
        wire.writer.write(encode(1, uuid.uuid4().bytes))
        call = await gateway.answered()
        say(call, 3.0)
        reader, came = MessageReader(), list[Message]()
        loop = asyncio.get_running_loop()
        started = loop.time()
        while loop.time() - started < 2.0:
            came += reader.push(await asyncio.wait_for(wire.reader.read(4096), 2.0))
        elapsed = loop.time() - started
        assert {(message.kind, len(message.payload)) for message in came} == {(0x10, 320)}
        assert elapsed / 0.02 * 0.9 - 2 <= len(came) <= elapsed / 0.02 + 7, "catching up is at most five frames"


async def test_the_rate_may_follow_the_first_audio() -> None:
    settings: dict[str, Any] = {"audiosocket": True, "audiosocket_open": True, "audiosocket_rate_hz": 0}
    async with ringing(**settings) as gateway, line(gateway) as wire:
        wire.writer.write(encode(1, uuid.uuid4().bytes) + encode(0x12, bytes(640)))
        call = await gateway.answered()
        assert call.request.output_rate_hz == 16_000
        say(call, 0.2)
        message = MessageReader().push(await asyncio.wait_for(wire.reader.readexactly(643), 5.0))[0]
        assert (message.kind, len(message.payload)) == (0x12, 640)
        assert np.abs(np.frombuffer(message.payload, "<i2").astype(int)).max() > 3000


async def test_a_uuid_has_a_deadline() -> None:
    async with ringing(audiosocket=True) as gateway, line(gateway) as wire:
        started = asyncio.get_running_loop().time()
        await wire.closed()
        assert 4.5 <= asyncio.get_running_loop().time() - started <= 9.0


async def test_a_full_gateway_hangs_up() -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway, line(gateway) as wire:
        gateway.calls.fail_with = RefusedCall("busy", "full")
        wire.writer.write(encode(1, uuid.uuid4().bytes))
        assert await wire.closed() == [HANG_UP]


async def test_a_websocket_is_not_taken() -> None:
    async with ringing(audiosocket=True) as gateway, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{gateway.url}/phone/audiosocket")


async def test_an_open_line_beyond_loopback_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="loopback only"):
        async with ringing(audiosocket=True, audiosocket_open=True, audiosocket_host="0.0.0.0"):
            pass


async def test_an_address_that_is_taken_stops_the_start() -> None:
    assert load().audiosocket is False, "it listens where it is told to only"
    async with ringing(audiosocket=True) as gateway, asyncio.TaskGroup() as tasks:
        config, parts = AudioSocketConfig(port=gateway.audiosocket_port), gateway.gateway.parts
        second = audiosocket_listener(parts, phone_parts(load(), gateway.calls, NotesHere(parts.clock)), config, tasks)
        with pytest.raises(ConfigError, match="cannot listen"):
            await second.__aenter__()
