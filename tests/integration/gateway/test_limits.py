"""Slow readers, vanished peers, clients that are too fast, and many at once."""

import asyncio
import contextlib
import json
import socket as sockets
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gateway.close_codes import CloseCode
from gateway.websocket.limits import SocketLimits

V1 = [Subprotocol("voice.v1")]
MASKED = b"\x01\x02\x03\x04"


def call(served: Any, session_id: str = "s1", **options: Any) -> connect:
    return connect(f"{served.url}/voice/{session_id}", subprotocols=V1, **options)


async def closed_with(socket: ClientConnection) -> int:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(10):
            async for _ in socket:
                pass
    assert socket.protocol.close_rcvd is not None, "cut off without a close frame"
    return socket.protocol.close_rcvd.code


async def eventually(true: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


def noise(seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(1).integers(-9000, 9000, int(seconds * 16_000), np.int16)


class RawClient:
    """A client that only reads when it is told to: its receive buffer is small and nothing runs behind it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plain: sockets.socket) -> None:
        self.reader, self.writer, self.plain = reader, writer, plain

    @classmethod
    async def open(cls, served: Any, session_id: str) -> "RawClient":
        plain = sockets.socket()
        plain.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", served.gateway.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=2048)
        head = (
            f"GET /voice/{session_id} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: voice.v1\r\n\r\n"
        )
        writer.write(head.encode())
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer, plain)

    def say(self, **fields: Any) -> None:
        body = json.dumps(fields).encode()
        masked = bytes(byte ^ MASKED[index % 4] for index, byte in enumerate(body))
        self.writer.write(bytes([0x81, 0x80 | len(body)]) + MASKED + masked)

    async def message(self) -> tuple[int, bytes]:
        """Opcode and payload."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        return first & 15, await self.reader.readexactly(size)


async def test_a_slow_reader_pauses_playout_and_goes_on_where_it_stopped(start: Any) -> None:
    async with start(limits=SocketLimits(stuck_s=30.0, heartbeat_s=30.0)) as served:
        client = await RawClient.open(served, "s1")
        client.say(type="session.start")
        await eventually(lambda: "s1" in served.calls.calls)
        echo = served.calls.calls["s1"]
        echo.say(noise(20.0))
        await eventually(lambda: served.count("voicegate_gateway_playout_pauses_total") == 1)
        taken = echo.frames_taken
        await asyncio.sleep(0.3)
        assert echo.frames_taken == taken, "playout went on although nothing was read"
        connection = next(iter(served.gateway.parts.connections._exits), None)
        assert connection is not None
        got, texts = b"", []
        while len(got) < (taken + 20) * 640:
            opcode, payload = await asyncio.wait_for(client.message(), 5)
            if opcode == 2:
                got += payload
            elif opcode == 1:
                texts.append(json.loads(payload))
        assert got == noise(20.0).tobytes()[: len(got)], "audio was lost or reordered"
        codes = [text["code"] for text in texts if text["type"] == "notice"]
        assert codes[:2] == ["playout_paused", "playout_resumed"]
        assert not any("seq" in text for text in texts if text["type"] == "notice")
        client.writer.transport.abort()


async def test_a_reader_that_is_stuck_is_closed_and_its_call_kept(start: Any) -> None:
    async with start(limits=SocketLimits(stuck_s=0.5, heartbeat_s=30.0)) as served:
        client = await RawClient.open(served, "s1")
        client.say(type="session.start")
        await eventually(lambda: "s1" in served.calls.calls)
        served.calls.calls["s1"].say(noise(30.0))
        await eventually(lambda: served.calls.calls["s1"].log == ["detach"])
        await eventually(lambda: served.count("voicegate_gateway_closes_total", code="too_slow") == 1)
        await eventually(lambda: len(served.gateway.parts.connections) == 0)
        client.writer.transport.abort()


async def test_a_vanished_peer_is_noticed(start: Any) -> None:
    async with start(limits=SocketLimits(heartbeat_s=0.4)) as served:
        client = await RawClient.open(served, "s1")
        client.say(type="session.start")
        await eventually(lambda: "s1" in served.calls.calls)
        loop = asyncio.get_running_loop()
        before = loop.time()
        await eventually(lambda: served.calls.calls["s1"].log == ["detach"])
        assert loop.time() - before < 1.5
        client.writer.transport.abort()


async def test_nothing_said_after_connecting(start: Any) -> None:
    async with start(limits=SocketLimits(start_timeout_s=0.1)) as served, call(served) as socket:
        assert await closed_with(socket) == CloseCode.START_TIMEOUT
        assert served.calls.calls == {}


async def test_a_start_in_time_is_not_timed_out(start: Any) -> None:
    async with start(limits=SocketLimits(start_timeout_s=0.1)) as served, call(served) as socket:
        await socket.send('{"type":"session.start"}')
        await asyncio.sleep(0.3)
        await socket.send('{"type":"ping","id":1}')
        messages = [json.loads(await socket.recv())["type"] for _ in range(3)]
        assert messages == ["session.welcome", "session.started", "pong"]


async def test_the_longest_time_of_a_call(start: Any) -> None:
    async with start(limits=SocketLimits(session_s=0.2)) as served, call(served) as socket:
        await socket.send('{"type":"session.start"}')
        assert await closed_with(socket) == CloseCode.SESSION_TIME
        assert served.calls.calls["s1"].log == ["hang_up session_time"]


FAST: list[tuple[dict[str, Any], bytes | str, int]] = [
    ({"message_burst": 10.0, "messages_per_s": 1.0}, '{"type":"ping","id":1}', 20),
    ({"byte_burst": 10_000.0, "bytes_per_s": 100.0}, bytes(3200), 10),
    ({"audio_burst_s": 1.0}, bytes(32_000), 10),
]


@pytest.mark.parametrize(("limits", "message", "times"), FAST)
async def test_a_client_that_is_too_fast(start: Any, limits: dict[str, Any], message: bytes | str, times: int) -> None:
    async with start(limits=SocketLimits(**limits)) as served, call(served) as socket:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(times):
                await socket.send(message)
        assert await closed_with(socket) == CloseCode.TOO_FAST


async def test_real_time_and_three_times_as_fast_is_fine(start: Any) -> None:
    async with start(limits=SocketLimits(audio_burst_s=0.5)) as served, call(served) as socket:
        for _ in range(20):
            await socket.send(bytes(640 * 6))  # 120 ms of audio
            await asyncio.sleep(0.045)
        await eventually(lambda: served.heard("s1") == 120)


async def test_many_connections_at_once(start: Any) -> None:
    """Eighty calls speak at once, each gets its own audio in time, and all seats are given back."""
    async with start() as served:

        async def talk(number: int) -> None:
            async with call(served, f"s{number}") as socket:
                await socket.send('{"type":"session.start"}')
                await socket.send(np.full(3200, number, np.int16).tobytes())
                await socket.send('{"type":"utterance.end"}')
                audio = b""
                while len(audio) < 6400:
                    message = await asyncio.wait_for(socket.recv(), 20)
                    audio += message if isinstance(message, bytes) else b""
                assert set(np.frombuffer(audio, np.int16).tolist()) == {number}

        async with asyncio.TaskGroup() as tasks:
            for number in range(80):
                tasks.create_task(talk(number))
        await eventually(lambda: served.count("voicegate_gateway_connections") == 0)
        assert len(served.gateway.parts.metronome) == 0
        assert served.count("voicegate_gateway_closes_total", code="normal") == 80
