"""Callers on Twilio Media Streams that cost next to nothing, against any server that speaks it.

``python -m benchmarks.peers.load --url ws://127.0.0.1:PORT/PATH --calls 10 --seconds 30 --speech FILE.npy …``

One process holds many calls. Every frame's JSON but its call's id is made beforehand, and frames are masked with the
key 0, which changes no byte (RFC 6455 asks for a key, not for an unpredictable one), so that sending one is a join and
a write. A call waits until the greeting, if there is one, has played, asks its question, waits until the answer has
played, and asks again. Marks come back when what was sent before them has played, and at once after a clear, as the
carrier does it.
"""

import asyncio
import base64
import gc
import json
import os
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, cast
from urllib.parse import urlsplit

import numpy as np
import typer
import uvloop

from audiocodecs.g711 import ulaw_encode
from voicegate.kernel.audio import FRAME_MS, Samples

_FRAME: Final = 160
_NOISE_RMS: Final = 8.0
_SLOTS: Final = 20
"""Calls send in slots 1 ms apart."""
_SPREAD_S: Final = 15.0
"""Over which the calls of a process begin: an exchange takes somewhat longer, and callers do not ask in chorus."""
_SILENT_S: Final = 0.7
"""No media for so long after the last has played: the answer is over."""
_GREETING_S: Final = 3.0
"""Longest wait for a greeting to begin."""
_PAYLOAD: Final = b'"payload":'


@dataclass(slots=True)
class Turn:
    """One question and its answer."""

    voice_end: float
    """When the frame with the last voiced sample was sent."""
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """Of each media message: when it came, and how long it plays, in seconds."""


def head(size: int) -> bytes:
    """The header of a text frame with the mask key 0."""
    return bytes([0x81, 0x80 | size]) + bytes(4) if size < 126 else bytes([0x81, 0xFE, *size.to_bytes(2)]) + bytes(4)


def text_frame(message: object) -> bytes:
    payload = json.dumps(message, separators=(",", ":")).encode()
    return head(len(payload)) + payload


def payloads(samples: Samples) -> list[bytes]:
    """The base64 of each 20 ms."""
    whole = range(0, samples.size - _FRAME + 1, _FRAME)
    return [base64.b64encode(ulaw_encode(samples[at : at + _FRAME])) for at in whole]


class Caller(asyncio.Protocol):
    """One call."""

    def __init__(
        self,
        address: str,
        number: int,
        silence: list[bytes],
        speech: list[bytes],
        last_voiced: int,
        *,
        call_id: str = "",
        token: str = "",
    ) -> None:
        """``token``: what an answer webhook has given for ``call_id``."""
        self.slot = number * 7 % _SLOTS
        self.turns: list[Turn] = []
        self.failure = ""
        self.live = False
        self._address, self._number = address, number
        self._sid = f"MZ{os.getpid():016x}{number:016x}"
        self._call_id = call_id or self._sid.replace("MZ", "CA")
        self._parameters = {"token": token} if token else {}
        self._start = f'{{"event":"media","streamSid":"{self._sid}","sequenceNumber":"'.encode()
        self._silence, self._speech, self._last = silence, speech, last_voiced
        self._buffer = b""
        self._sent = 0
        self._at: int | None = None
        self._plays_until = 0.0
        self._began = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        target = urlsplit(self._address)
        self._transport.write(
            f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if self.live and not self.failure:
            self.failure = f"lost: {exc}"
        self.live, self._transport = False, None

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self.live:
            data = self._upgraded(data)
        at, end = 0, len(data)
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size == 126:
                size, body = (data[at + 2] << 8 | data[at + 3], at + 4) if end - at >= 4 else (end, end)
            elif size == 127:
                size, body = (int.from_bytes(data[at + 2 : at + 10]), at + 10) if end - at >= 10 else (end, end)
            if end < body + size:
                break
            self._take(data[at] & 15, data[body : body + size])
            at = body + size
        self._buffer = data[at:]

    def tick(self, now: float) -> None:
        """Send one frame, and the marks that are due."""
        if not self.live or self._transport is None:
            return
        while self._marks and self._marks[0][0] <= now:
            self._mark_back(self._marks.popleft()[1])
        if self._at is None and self._may_ask(now):
            self._at = 0
        if self._at is None:
            payload = self._silence[self._sent % len(self._silence)]
        else:
            payload = self._speech[self._at]
            if self._at == self._last // _FRAME:
                self.turns.append(Turn(now))
            self._at += 1
            if self._at == len(self._speech):
                self._at = None
        self._sent += 1
        number = str(self._sent).encode()
        body = b"".join(
            (
                self._start, number, b'","media":{"track":"inbound","chunk":"', number, b'","timestamp":"',
                str(self._sent * FRAME_MS).encode(), b'","payload":"', payload, b'"}}',
            )
        )  # fmt: skip
        self._transport.write(head(len(body)) + body)

    def leave(self) -> None:
        """Hang up."""
        self.live = False
        if self._transport is not None:
            self._transport.write(text_frame({"event": "stop", "streamSid": self._sid, "stop": {}}))
            self._transport.write(b"\x88\x82" + bytes(4) + b"\x03\xe8")
            asyncio.get_running_loop().call_later(1.0, self._transport.close)

    def _may_ask(self, now: float) -> bool:
        """The agent has nothing more to say."""
        if self.turns and not self.turns[-1].arrivals:
            return now - self.turns[-1].voice_end > 10  # unanswered: the next question all the same
        if not self.turns and not self._plays_until:
            return now - self._began > _GREETING_S
        return now - self._plays_until > _SILENT_S

    def _upgraded(self, data: bytes) -> bytes:
        answer, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._buffer = data
            return b""
        self._buffer = b""
        if not answer.startswith(b"HTTP/1.1 101"):
            self.failure = answer[:200].decode(errors="replace")
            if self._transport is not None:
                self._transport.abort()
            return b""
        self.live, self._began = True, time.monotonic()
        start = {
            "accountSid": "AC" + "0" * 32, "streamSid": self._sid, "callSid": self._call_id,
            "tracks": ["inbound"], "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self._parameters,
        }  # fmt: skip
        if self._transport is not None:
            self._transport.write(text_frame({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            message = {"event": "start", "sequenceNumber": "1", "streamSid": self._sid, "start": start}
            self._transport.write(text_frame(message))
        return rest

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == 1:
            at = payload.find(_PAYLOAD)
            if at >= 0:
                self._hear(payload, at + len(_PAYLOAD))
            else:
                self._other(json.loads(payload))
        elif kind == 9 and self._transport is not None:
            self._transport.write(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)
        elif kind == 8:
            self.failure = self.failure or f"closed: {payload[:100]!r}"
            self.live = False

    def _hear(self, message: bytes, at: int) -> None:
        first = message.index(b'"', at) + 1
        last = message.index(b'"', first)
        size = (last - first) * 3 // 4 - message.count(b"=", last - 2, last)
        now, seconds = time.monotonic(), size / 8000
        self._plays_until = max(self._plays_until, now) + seconds
        if self.turns:
            self.turns[-1].arrivals.append((now, seconds))

    def _other(self, message: dict[str, Any]) -> None:
        match message.get("event"):
            case "mark":
                self._marks.append((self._plays_until, message["mark"]["name"]))
            case "clear":
                self._plays_until = time.monotonic()
                while self._marks:
                    self._mark_back(self._marks.popleft()[1])

    def _mark_back(self, name: str) -> None:
        if self._transport is not None:
            self._transport.write(text_frame({"event": "mark", "streamSid": self._sid, "mark": {"name": name}}))


async def run(url: str, calls: int, first: int, seconds: float, speech: Samples, last_voiced: int) -> dict[str, Any]:
    """Hold ``calls`` calls and say what became of them."""
    noise = np.random.default_rng(first).normal(0, _NOISE_RMS, 8000).astype(np.int16)
    silence, spoken = payloads(noise), payloads(speech)
    target, loop = urlsplit(url), asyncio.get_running_loop()
    callers: list[Caller] = []
    late: list[float] = []
    start, step, end, since = time.monotonic(), 0, None, 0.0
    async with asyncio.TaskGroup() as tasks:
        while end is None or time.monotonic() < end:
            step += 1
            ahead = start + step * FRAME_MS / 1000 / _SLOTS - time.monotonic()
            if ahead > 0 or step % 64 == 0:
                await asyncio.sleep(max(0.0, ahead))
            now = time.monotonic()
            if since:
                late.append(max(0.0, -ahead))
            if len(callers) < calls and now - start > len(callers) * _SPREAD_S / calls:
                caller = Caller(url, first + len(callers), silence, spoken, last_voiced)
                callers.append(caller)
                # From addresses of their own: a gateway may limit how often one address connects.
                own = f"127.0.1.{(first + len(callers)) % 250 + 1}"
                tasks.create_task(_connect(loop, caller, target.hostname or "", target.port or 80, own))
            if end is None and len(callers) == calls and all(each.turns or each.failure for each in callers):
                since, end = now, now + seconds
                print("measuring", flush=True)
            for caller in callers:
                if caller.slot == step % _SLOTS:
                    caller.tick(now)
    failures = [each.failure for each in callers if each.failure]
    for caller in callers:
        caller.leave()
    await asyncio.sleep(1.5)
    turns = [{"sent": turn.voice_end, "arrivals": turn.arrivals} for each in callers for turn in each.turns]
    late_ms = [round(each * 1000, 2) for each in late]
    return {"measured_from": since, "until": end, "late_ms": late_ms, "failures": failures, "turns": turns}


async def _connect(loop: asyncio.AbstractEventLoop, caller: Caller, host: str, port: int, own: str) -> None:
    try:
        await loop.create_connection(lambda: caller, host, port, local_addr=(own, 0))
    except OSError as error:
        caller.failure = f"not connected: {error}"


def main(
    url: Annotated[str, typer.Option()],
    calls: Annotated[int, typer.Option(min=1)],
    out: Annotated[Path, typer.Option()],
    speech: Annotated[Path, typer.Option(help="int16 at 8 kHz, as numpy saves it.")],
    last_voiced: Annotated[int, typer.Option(help="Its last voiced sample.")],
    first: Annotated[int, typer.Option()] = 0,
    seconds: Annotated[float, typer.Option()] = 30.0,
) -> None:
    """Hold calls; prints a line when the measured stretch begins."""
    gc.disable()
    result = uvloop.run(run(url, calls, first, seconds, np.load(speech), last_voiced))
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
