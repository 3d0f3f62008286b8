"""Clients that send what no client should: ``python -m tests.e2e.attack URL MESSAGES SEED MESSAGES_PER_S``.

Messages are made from good ones by a seeded generator. Connections come from many loopback addresses, since the gateway
bounds those of one. Prints one JSON object: what was sent, and how the connections ended.
"""

import asyncio
import io
import json
import random
import sys
import wave
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
import websockets

_TOGETHER = 8
_PER_CONNECTION = 40
_GOOD: tuple[dict[str, Any], ...] = (
    {"type": "session.start", "greeting": False, "input": {"encoding": "pcm16", "rate": 16000}, "context": {"a": "b"}},
    {"type": "session.start", "greeting": False, "output": {"encoding": "opus", "rate": 48000}, "agent": "Amelia"},
    {"type": "session.resume", "lastSeq": 3, "secret": "abcdefghijkl"},
    {"type": "utterance.end"},
    {"type": "text", "text": "What are your opening hours?"},
    {"type": "dtmf", "digits": "12#"},
    {"type": "reply.cancel"},
    {"type": "ping", "id": 7},
)
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, -(2**63), 1e308, float("nan"), "", "\x00", "\u202e\ud83d", "x" * 5000, [], {}, [[[]]],
    {"type": "text"}, "session.start", ["a"] * 300,
)  # fmt: skip


def sounds() -> tuple[bytes, ...]:
    """Good audio of every kind the gateway takes."""
    tone = (np.sin(np.arange(16_000) / 7) * 9000).astype("<i2")
    wav = io.BytesIO()
    with wave.open(wav, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone.tobytes())
    return (wav.getvalue(), _muxed(tone, "webm"), _muxed(tone, "ogg"), tone[:320].tobytes(), tone[:3200].tobytes())


def _muxed(tone: "np.ndarray[Any, np.dtype[np.int16]]", container: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream("libopus", rate=16_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return out.getvalue()


_NOT_MESSAGES = ("", "null", "[]", "1e999", '"text"', "{" * 40, "x" * 40_000, '{"type":"text","type":1}')


@dataclass
class Mutator:
    """The same messages for the same seed."""

    dice: random.Random
    audio: tuple[bytes, ...] = field(default_factory=sounds)

    def message(self, text_share: float) -> str | bytes:
        return self._text() if self.dice.random() < text_share else self._bytes(self.dice.choice(self.audio))

    def _text(self) -> str:
        dice = self.dice
        good = dict(dice.choice(_GOOD))
        match dice.randrange(8):
            case 0:
                return json.dumps(good)
            case 1:  # another value in a field
                good[dice.choice(list(good))] = dice.choice(_ODD)
                return json.dumps(good)
            case 2:  # a field that does not exist
                return json.dumps(good | {dice.choice(("seq", "x" * 60, "", "Type")): dice.choice(_ODD)})
            case 3:  # a field missing
                good.pop(dice.choice(list(good)))
                return json.dumps(good)
            case 4:  # cut off
                text = json.dumps(good)
                return text[: dice.randrange(len(text))]
            case 5:  # nested without end
                depth = dice.choice((10, 1000, 15_000))
                return '{"type":' + "[" * depth + "]" * dice.choice((0, depth)) + "}"
            case 6:  # some characters changed
                letters = list(json.dumps(good))
                for _ in range(dice.randrange(1, 5)):
                    letters[dice.randrange(len(letters))] = dice.choice('\x00\t"\\{}\u2028\ufffd\U0001f600')
                return "".join(letters)
            case _:
                return dice.choice(_NOT_MESSAGES)

    def _bytes(self, good: bytes) -> bytes:
        dice = self.dice
        match dice.randrange(7):
            case 0:
                return good
            case 1:
                return good[: dice.randrange(len(good))]
            case 2:  # some bytes of the head changed: lengths, rates, counts
                return self._changed(good, min(len(good), 80))
            case 3:
                return self._changed(good, len(good))
            case 4:  # a piece out of the middle
                at = dice.randrange(len(good))
                return good[at : at + dice.randrange(2000)]
            case 5:
                return dice.randbytes(dice.choice((0, 1, 3, 11, 12, 640, 4096)))
            case _:
                return good[: dice.randrange(60)] + dice.randbytes(dice.randrange(400)) + good[-200:]

    def _changed(self, good: bytes, within: int) -> bytes:
        data = bytearray(good)
        for _ in range(self.dice.randrange(1, 9)):
            data[self.dice.randrange(within)] = self.dice.choice((0, 1, 0x7F, 0x80, 0xFF, self.dice.randrange(256)))
        return bytes(data)


@dataclass
class Attack:
    url: str
    messages: int
    seed: int
    per_s: float
    sent: int = 0
    connections: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        began = asyncio.get_running_loop().time()

        async def paced() -> None:
            due = began + self.sent / self.per_s
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

        async with asyncio.TaskGroup() as tasks:
            for n in range(_TOGETHER):
                tasks.create_task(self._worker(n, paced))

    async def _worker(self, number: int, paced: Callable[[], Any]) -> None:
        mutator = Mutator(random.Random(f"{self.seed}-{number}"))
        while self.sent < self.messages:
            self.connections += 1
            try:
                await self._connection(mutator, number, paced)
            except websockets.ConnectionClosed as closed:
                self.ends[str(closed.rcvd.code if closed.rcvd else "cut")] += 1
            except websockets.InvalidStatus as refusal:
                self.ends[f"http {refusal.response.status_code}"] += 1

    async def _connection(self, mutator: Mutator, number: int, paced: Callable[[], Any]) -> None:
        dice = mutator.dice
        protocols = [websockets.Subprotocol("voice.v1")] if dice.random() < 0.5 else None
        peer = f"127.0.{number + 1}.{self.connections % 250 + 1}"
        session_id = f"attack-{self.seed}-{self.connections}"
        address = urlsplit(self.url)
        async with websockets.connect(
            f"{self.url}/voice/{session_id}",
            subprotocols=protocols,
            host=address.hostname,
            port=address.port,
            local_addr=(peer, 0),
            close_timeout=1.0,
        ) as socket:
            if protocols and dice.random() < 0.6:
                await socket.send(json.dumps(_GOOD[0]))  # a call begins; then the rest comes
            for _ in range(dice.randrange(1, _PER_CONNECTION)):
                await paced()
                await socket.send(mutator.message(0.3 if protocols else 0.05))  # most text ends a connection at once
                self.sent += 1
            if dice.random() < 0.3:
                socket.transport.abort()
                self.ends["vanished"] += 1
                return
        self.ends["left"] += 1


def main() -> None:
    url, messages, seed, per_s = sys.argv[1:]
    attack = Attack(url, int(messages), int(seed), float(per_s))
    asyncio.run(attack.run())
    print(json.dumps({"sent": attack.sent, "connections": attack.connections, "ends": dict(attack.ends)}))


if __name__ == "__main__":
    main()
