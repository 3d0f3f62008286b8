"""Callers that cost next to nothing: one process holding many calls of :mod:`benchmarks.density`.

``python -m benchmarks.density_client --port N --calls 50 --first 0 --seconds 30 --speech FILE.npz --out FILE.json``

Full profile, μ-law at 8 kHz, one message of 20 ms each 20 ms in both directions. All frames are encoded, masked and
framed beforehand (RFC 6455), so sending one is a single ``write``; what comes is cut at frame borders and only its time
is kept, and whether anything can be heard in it. A call answers the agent's greeting with a question, and each reply,
once it is over, with the next one of the file (``save_questions``).
"""

import asyncio
import base64
import gc
import json
import os
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
import uvloop

from audiocodecs.g711 import ulaw_decode, ulaw_encode
from voicegate.kernel.audio import FRAME_MS, Samples

_FRAME = 160
_NOISE_RMS = 8.0
"""Of the noise between utterances, of int16: -72 dBFS, a quiet line that is not digitally silent."""
_PAUSE_FRAMES = 20
"""From the end of a reply to the next question."""
_SLOTS, _SLOT_STEP, _LATE_SLOTS = 20, 7, 64
"""Calls send in slots 1 ms apart, neighbours far from one another; who is late looks up only now and then."""
_SPREAD_S = 15.0
"""Over which the calls of a process begin: an exchange takes somewhat longer, and callers do not ask in chorus."""
_NORMAL = (1000).to_bytes(2)
_CALLS_AN_ADDRESS = 40
_GREETING_PATIENCE_S, _LEAVE_S = 20.0, 1.5
_LOUD = 400
_QUIET = bytes(code for code in range(256) if abs(int(ulaw_decode(bytes([code]))[0])) < _LOUD)
_AUDIBLE = 8
"""Samples of one message louder than ``_LOUD``, from which on it can be heard: 1 ms."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask, as the messages that carry it."""

    messages: list[bytes]
    last_voiced: int
    """Sample of it."""


@dataclass(slots=True)
class Turn:
    """One question and what came after it. Times are seconds on the machine's monotonic clock."""

    sent: float
    """When the frame with its last voiced sample was sent."""
    sent_ms: float
    """That sample's place in all the audio sent."""
    stopped_ms: float = -1.0
    """Where voice activity placed it."""
    arrivals: list[float] = field(default_factory=list)
    voiced: float = -1.0
    """When the first message came in which anything can be heard."""
    finished: bool = False


class Caller(asyncio.Protocol):
    """One call."""

    def __init__(
        self, name: str, silence: list[bytes], questions: Sequence[Question], slot: int, first: int = 0
    ) -> None:
        self.name = name
        self.slot = slot
        self.turns: list[Turn] = []
        self.failure = ""
        self.refused_at = 0.0
        """When the gateway answered the upgrade with something else."""
        self.notices: list[tuple[float, str]] = []
        """When they came, and their words."""
        self.live = False
        self._silence, self._questions = silence, questions
        self._next = first
        self._buffer = b""
        self._sent = 0
        self._at: int | None = None  # next frame of the question
        self._wait: int | None = None  # frames until the question begins
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /voice/{self.name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: voice.v1\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if self.live and not self.failure:
            self.failure = f"lost: {exc}"
        self.live, self._transport = False, None

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self.live:
            data = self._upgraded(data)
            if not self.live:
                return
        at, end = 0, len(data)
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, body = data[at + 2] << 8 | data[at + 3], at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, body = int.from_bytes(data[at + 2 : at + 10]), at + 10
            if end < body + size:
                break
            kind = data[at] & 15
            if kind == 2:
                if self.turns:
                    self._hear(self.turns[-1], data[body : body + size])
            else:
                self._other(kind, data[body : body + size])
            at = body + size
        self._buffer = data[at:]

    def tick(self) -> None:
        """Send one frame."""
        if not self.live or self._transport is None:
            return
        if self._wait is not None:
            self._wait -= 1
            if self._wait <= 0:
                self._wait, self._at = None, 0
        if self._at is None:
            self._transport.write(self._silence[self._sent % len(self._silence)])
        else:
            self._at = self._say(self._transport, self._questions[self._next % len(self._questions)], self._at)
        self._sent += 1

    def _say(self, transport: asyncio.Transport, question: Question, at: int) -> int | None:
        """Send one frame of the question; the next one's number, None behind the last."""
        transport.write(question.messages[at])
        if at == question.last_voiced // _FRAME:
            ends_ms = self._sent * FRAME_MS + question.last_voiced % _FRAME / 8
            self.turns.append(Turn(time.monotonic(), ends_ms))
        if at + 1 < len(question.messages):
            return at + 1
        self._next += 1
        return None

    def _hear(self, turn: Turn, payload: bytes) -> None:
        now = time.monotonic()
        turn.arrivals.append(now)
        if turn.voiced < 0 and len(payload.translate(None, _QUIET)) >= _AUDIBLE:
            turn.voiced = now

    def leave(self) -> None:
        """Hang up."""
        self.live = False
        if self._transport is not None:
            self._transport.write(framed(b'{"type":"session.end"}', 1))
            asyncio.get_running_loop().call_later(1.0, self._transport.close)

    def _upgraded(self, data: bytes) -> bytes:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._buffer = data
            return b""
        self._buffer = b""
        if not head.startswith(b"HTTP/1.1 101"):
            self.failure, self.refused_at = head[:200].decode(errors="replace"), time.monotonic()
            if self._transport is not None:
                self._transport.abort()
            return b""
        self.live = True
        start = b'{"type":"session.start","input":{"encoding":"pcmu"},"output":{"encoding":"pcmu"}}'
        if self._transport is not None:
            self._transport.write(framed(start, 1))
        return rest

    def _other(self, kind: int, payload: bytes) -> None:
        if kind == 9 and self._transport is not None:
            self._transport.write(framed(payload, 10))
        elif kind == 8:
            self.live = False
            if self._transport is not None:
                self._transport.close()
            if payload[:2] != _NORMAL:
                self.failure = self.failure or f"closed: {payload[:100]!r}"
        elif kind == 1 and b'"reply.finished"' in payload:
            if self.turns:
                self.turns[-1].finished = True
            self._wait = _PAUSE_FRAMES
        elif kind == 1 and b'"notice"' in payload:
            self.notices.append((time.monotonic(), json.loads(payload)["message"]))
        elif kind == 1 and b'"speech.stopped"' in payload and self.turns and not self.turns[-1].arrivals:
            self.turns[-1].stopped_ms = json.loads(payload)["audioMs"]


def _address(number: int) -> tuple[str, int]:
    """Where call ``number`` comes from: a gateway bounds the calls that one address may place in a second."""
    return f"127.0.1.{1 + number // _CALLS_AN_ADDRESS}", 0


def framed(payload: bytes, kind: int) -> bytes:
    """A client's frame: masked, with a length of 7 or 16 bits."""
    mask = os.urandom(4)
    size = len(payload)
    head = bytes([0x80 | kind, 0x80 | size]) if size < 126 else bytes([0x80 | kind, 0x80 | 126, *size.to_bytes(2)])
    key = np.frombuffer((mask * (size // 4 + 1))[:size], np.uint8)
    return head + mask + (np.frombuffer(payload, np.uint8) ^ key).tobytes()


def save_questions(path: Path, questions: Iterable[tuple[Samples, int]]) -> None:
    """Write what callers say, for :func:`load_questions`: samples at 8 kHz, each with its last voiced one."""
    arrays = {f"{n}-{last}": samples for n, (samples, last) in enumerate(questions)}
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options


def load_questions(path: Path) -> list[Question]:
    """The questions of a file, in their order."""
    with np.load(path) as found:
        return [Question(frames(found[name]), int(name.partition("-")[2])) for name in found.files]


def frames(samples: Samples) -> list[bytes]:
    """The messages that carry ``samples`` (8 kHz)."""
    return [framed(ulaw_encode(samples[at : at + _FRAME]), 2) for at in range(0, samples.size - _FRAME + 1, _FRAME)]


@dataclass(slots=True)
class Crowd:
    """The calls of one process."""

    port: int
    wanted: int
    first: int
    silence: list[bytes]
    questions: list[Question]
    callers: list[Caller] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)

    async def hold(self, seconds: float) -> tuple[float, float]:
        """Place all calls, hold them for ``seconds`` once each has asked a question, and hang up. Returns from when
        until when, on the machine's monotonic clock."""
        start, step, until = time.monotonic(), 0, 0.0
        async with asyncio.TaskGroup() as tasks:
            while not until or time.monotonic() < until:
                step += 1
                await self._until(start + step * FRAME_MS / 1000 / _SLOTS, step)
                elapsed = time.monotonic() - start
                while len(self.callers) < self.wanted and elapsed > len(self.callers) * _SPREAD_S / self.wanted:
                    self._place(tasks)
                if not until and self._all_up(elapsed):
                    until = time.monotonic() + seconds
                    self.late_ms.clear()
                    print("measuring", flush=True)
                for caller in self.callers:
                    if caller.slot == step % _SLOTS:
                        caller.tick()
        for caller in self.callers:
            caller.leave()
        await asyncio.sleep(_LEAVE_S)
        return until - seconds, until

    async def _until(self, deadline: float, step: int) -> None:
        ahead = deadline - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif step % _LATE_SLOTS == 0:
            await asyncio.sleep(0)  # behind: but what came must be read
        if step % _SLOTS == 0:
            self.late_ms.append(round(max(0.0, time.monotonic() - deadline) * 1000, 2))

    def _place(self, tasks: asyncio.TaskGroup) -> None:
        number = self.first + len(self.callers)
        slot = number * _SLOT_STEP % _SLOTS
        caller = Caller(f"density-{os.getpid()}-{number}", self.silence, self.questions, slot, number)
        self.callers.append(caller)
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(lambda: caller, "127.0.0.1", self.port, local_addr=_address(number))
        tasks.create_task(_connected(connecting))

    def _all_up(self, elapsed_s: float) -> bool:
        asked = all(each.turns or each.failure for each in self.callers)
        patience = _SPREAD_S + _GREETING_PATIENCE_S
        return len(self.callers) == self.wanted and (asked or elapsed_s > patience)


async def _connected(connecting: Coroutine[Any, Any, object]) -> None:
    await connecting


async def run(port: int, calls: int, first: int, seconds: float, questions: list[Question]) -> dict[str, Any]:
    """Hold ``calls`` calls and say what became of them."""
    noise = np.random.default_rng(first).normal(0, _NOISE_RMS, 50 * _FRAME).astype(np.int16)
    crowd = Crowd(port, calls, first, frames(noise), questions)
    since, until = await crowd.hold(seconds)
    return {
        "since": since,
        "until": until,
        "late_ms": crowd.late_ms,
        "failures": [each.failure for each in crowd.callers if each.failure],
        "turns": [asdict(turn) for each in crowd.callers for turn in each.turns],
    }


def main(
    port: Annotated[int, typer.Option()],
    calls: Annotated[int, typer.Option(min=1)],
    out: Annotated[Path, typer.Option()],
    speech: Annotated[Path, typer.Option(help="What to ask, as save_questions writes it.")],
    first: Annotated[int, typer.Option(help="Number of the first call.")] = 0,
    seconds: Annotated[float, typer.Option()] = 30.0,
) -> None:
    """Hold calls; prints a line when the measured stretch begins."""
    gc.disable()
    result = uvloop.run(run(port, calls, first, seconds, load_questions(speech)))
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
