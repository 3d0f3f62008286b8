"""Datagrams of strangers, and nonsense from the peer itself: no call ends, and the log stays quiet."""

import asyncio
import io
import os
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pylibsrtp
import pytest
from aioice import stun
from blockbuster import blockbuster_ctx

from audiocodecs.libopus import Encoder
from gateway.webrtc.rtp import build_rtp
from tests.integration.gateway.conftest import Served
from tests.integration.gateway.test_whip_media import Caller, call_of, calling, pitch, tone, until
from voicegate.client.connection import CallTarget
from voicegate.client.webrtc import WhipSocket

EACH = 10_000
_BATCH = 64
"""Fewer than a socket's buffer holds, so that every one arrives."""


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    with blockbuster_ctx() as watch:
        watch.functions["threading.Lock.acquire"].can_block_in("aiortc/rtcrtpreceiver.py", {"__stop_decoder"})
        yield


def empty(_: random.Random, login: str) -> bytes:
    return b""


def noise(chance: random.Random, login: str) -> bytes:
    return chance.randbytes(chance.randrange(1, 200))


def stun_shaped(chance: random.Random, login: str) -> bytes:
    """Requests with the right name and a wrong password, answers to nothing, and lengths that lie."""
    message = stun.Message(chance.choice([stun.Method.BINDING, stun.Method.ALLOCATE]), chance.choice(list(stun.Class)))
    message.attributes["USERNAME"] = f"{login}:{chance.choice(['gbJJ', 'other'])}"
    message.attributes["PRIORITY"] = 1
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(b"a guess")
    data = bytearray(bytes(message))
    if chance.random() < 0.7:
        for _ in range(4):
            data[chance.randrange(20, len(data))] = chance.randrange(256)
    return bytes(data)


def dtls_shaped(chance: random.Random, login: str) -> bytes:
    """Records of a handshake, alerts in the clear, application data."""
    kind = chance.choice([20, 21, 21, 22, 22, 23, 26, 40])
    body = b"\x02\x28" if kind == 21 else chance.randbytes(chance.randrange(1, 300))
    return bytes([kind]) + b"\xfe\xfd" + bytes(8) + len(body).to_bytes(2, "big") + body


def rtp_shaped(chance: random.Random, login: str) -> bytes:
    second = chance.choice([111, 96, 200, 201, 0x80 | 111])
    return bytes([0x80, second]) + chance.randbytes(chance.randrange(10, 180))


SHAPES = (empty, noise, stun_shaped, dtls_shaped, rtp_shaped)


async def flood(served: Served, address: tuple[str, int], login: str, each: int) -> int:
    """``each`` of every shape from a stranger's socket, no faster than they are taken; returns how many were sent."""
    chance = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for shape in SHAPES:
            for n in range(each):
                stranger.sendto(shape(chance, login), address)
                if n % _BATCH == 0:
                    await taken(served)
        await taken(served)
    return each * len(SHAPES)


async def taken(served: Served) -> None:
    """Return when the gateway has dropped nothing more for some turns of the loop."""
    dropped, quiet = -1.0, 0
    while quiet < 3:
        await asyncio.sleep(0)
        now = served.count("voicegate_webrtc_dropped_datagrams_total", reason="stranger")
        quiet = quiet + 1 if now == dropped else 0
        dropped = now


def where(answer: str) -> tuple[tuple[str, int], str]:
    """Address and user name of the gateway's side."""
    words = next(line for line in answer.splitlines() if line.startswith("a=candidate")).split()
    login = next(line for line in answer.splitlines() if line.startswith("a=ice-ufrag:")).partition(":")[2]
    return (words[4], int(words[5])), login


@asynccontextmanager
async def half_open(served: Served, session: str) -> AsyncIterator[tuple[Caller, str]]:
    """A caller that has its answer and has not begun to connect."""
    async with aiohttp.ClientSession() as http:
        caller = WhipSocket(http, CallTarget(session, url=served.http))
        answer = await caller.offer()
        listener = Caller(caller)
        listening = asyncio.get_running_loop().create_task(listener.listen())
        try:
            yield listener, answer
        finally:
            await caller.close()
            await listening


async def connect(caller: Caller, answer: str) -> None:
    await caller.socket.connect(answer)
    await caller.got("session.welcome")


def lines(logged: io.StringIO) -> int:
    return logged.getvalue().count("\n")


async def test_strangers_before_during_and_after_the_set_up(served: Served, logged: io.StringIO) -> None:
    loop = asyncio.get_running_loop()
    async with half_open(served, "mine") as (caller, answer):
        address, login = where(answer)
        before, began = lines(logged), loop.time()
        sent = await flood(served, address, login, EACH)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(flood(served, address, login, EACH // 10))
            tasks.create_task(connect(caller, answer))
        sent += EACH // 10 * len(SHAPES)
        sent += await flood(served, address, login, EACH)
        said, took = lines(logged) - before, loop.time() - began
        dropped = served.count("voicegate_webrtc_dropped_datagrams_total", reason="stranger")
        print(f"\n{sent} datagrams of strangers in {took:.1f} s: {dropped:.0f} dropped, {said} log lines")
        assert dropped >= 0.99 * sent
        assert said <= took + 1, logged.getvalue()[-2000:]
        assert served.count("voicegate_webrtc_dropped_datagrams_total", reason="undecrypted") == 0
        await caller.say(tone(440, 1.0))
        await until(lambda: served.heard("mine") >= 40)
        assert abs(pitch(np.concatenate(call_of(served).heard)[-12_000:-4_000]) - 440) < 10
        await caller.send("ping", id=1)
        await caller.got("pong")
        assert call_of(served).log == []


def mutated_rtp(chance: random.Random, packet: bytes) -> bytes:
    """One packet with something wrong in it."""
    data = bytearray(packet)
    match chance.randrange(6):
        case 0:  # padding that lies
            data[0] |= 0x20
            data[-1] = chance.choice([0, 255])
        case 1:
            data[1] = (data[1] & 0x80) | chance.randrange(96, 127)
        case 2:
            data[12:] = chance.randbytes(chance.randrange(0, 400))
        case 3:
            del data[12:]
        case 4:  # an extension of nonsense
            data[0] |= 0x10
            words = chance.randrange(0, 20)
            data[12:12] = (
                chance.choice([b"\xbe\xde", b"\x10\x00"]) + words.to_bytes(2, "big") + chance.randbytes(4 * words)
            )
        case _:
            data[0] |= chance.randrange(1, 16)
            data[12:12] = bytes(60)
    return bytes(data)


def mutated_rtcp(chance: random.Random) -> bytes:
    head = bytes([0x80 | chance.randrange(32), chance.randrange(192, 213)])
    return head + chance.randbytes(2 + 4 * chance.randrange(1, 60))


class Nonsense:
    """Sends what the peer's own keys protect, beside its real stream."""

    def __init__(self, caller: Caller) -> None:
        dtls: Any = caller.socket._pc.sctp.transport  # type: ignore[union-attr]
        self._srtp = dtls._tx_srtp
        self._send = dtls.transport._connection.send
        self._sources = [os.urandom(4) for _ in range(500)]
        self.sent = 0

    async def rtp(self, packet: bytes) -> bool:
        try:
            protected = self._srtp.protect(packet)
        except pylibsrtp.Error:
            return False  # so wrong that not even the sender's side takes it
        await self._send(protected)
        self.sent += 1
        return True

    async def rtcp(self, packet: bytes) -> None:
        await self._send(self._srtp.protect_rtcp(packet))
        self.sent += 1

    async def burst(self, chance: random.Random, packet: bytes, count: int) -> None:
        """Of other sources, most of them never seen before, and of every kind of report."""
        until_sent = self.sent + count
        while self.sent < until_sent:
            if chance.random() < 0.3:
                await self.rtcp(mutated_rtcp(chance))
            else:
                source = chance.choice(self._sources)
                other = packet[:2] + chance.randbytes(6) + source + packet[12:]
                await self.rtp(mutated_rtp(chance, other))


async def test_nonsense_with_the_peers_own_keys(served: Served, logged: io.StringIO) -> None:
    """Every fourth packet of the peer's stream is broken, and thousands of others come beside it: what is lost is
    what was broken."""
    chance, slots, loop = random.Random(2), 160, asyncio.get_running_loop()
    encoder = Encoder(16_000, bit_rate=24_000, complexity=0)
    frames = tone(440, slots / 50).reshape(-1, 320)
    async with calling(served) as caller:
        await caller.got("session.started")
        nonsense, before, began = Nonsense(caller), lines(logged), loop.time()
        broken = 0
        for n, frame in enumerate(frames):
            await asyncio.sleep(max(0.0, began + n * 0.02 - loop.time()))
            packet = build_rtp(96, n, n * 960, 4711, encoder.encode(frame), marker=n == 0)
            if n % 4 == 3 and await nonsense.rtp(mutated_rtp(chance, packet)):
                broken += 1
            else:
                await nonsense.rtp(packet)
            await nonsense.burst(chance, packet, EACH // slots)
        await asyncio.sleep(0.3)
        heard, took = call_of(served).heard, loop.time() - began
        loud = sum(np.abs(frame.astype(int)).max() > 4_000 for frame in heard)
        print(f"\n{nonsense.sent} packets in {took:.1f} s, {broken} of {slots} broken, {loud} heard, "
              f"{lines(logged) - before} log lines")  # fmt: skip
        assert nonsense.sent >= EACH
        assert loud >= 0.9 * (slots - broken)
        assert lines(logged) - before <= took + 1
        await caller.send("ping", id=1)
        await caller.got("pong")
        assert call_of(served).log == []
