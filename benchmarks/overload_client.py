"""Many people with a telephone: as many as they are told to be, who call, are refused, call again, talk and hang up.

``python -m benchmarks.overload_client --port N --speech FILE.npz --out FILE.json``

A number on standard input says how many people there are from now on; the end of the input ends it all. Every second
one calls by WebSocket (:mod:`benchmarks.density_client`), the others by telephone: the answer webhook first, then
Twilio's media stream (:mod:`benchmarks.peers.load`). Who is admitted talks for some time, hangs up and calls again; who
is refused calls again after about ``_AGAIN_S``. The people above the number hang up at once.
"""

import asyncio
import gc
import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
import uvloop

from benchmarks import density_client as websocket
from benchmarks.density_client import Question, load_questions
from benchmarks.peers import load as twilio
from voicegate.kernel.audio import FRAME_MS, Samples

Kind = Literal["websocket", "twilio"]
_SLOTS = 20
_TALK_S = (25.0, 50.0)
"""Length of a call."""
_AGAIN_S = (4.0, 7.0)
"""From a refusal to the next try: the gateway says 5."""
_BETWEEN_S = (0.2, 2.0)
"""From a call's end to the next one."""
_ARRIVE_S = 0.02
"""Between two people of a process who come."""
_PATIENCE_S = 10.0
_LOUDLY = b'<Reject reason="busy"/>'


@dataclass(slots=True)
class Book:
    """What happened, with times of the machine's monotonic clock."""

    refusals: list[dict[str, Any]] = field(default_factory=list)
    admitted: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    notices: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Person:
    """One who calls again and again."""

    number: int
    leaves: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def kind(self) -> Kind:
        return "twilio" if self.number % 2 else "websocket"

    @property
    def address(self) -> str:
        """An address of his own: a gateway bounds how often one may connect."""
        return f"127.{2 + os.getpid() % 200}.{self.number // 250}.{1 + self.number % 250}"


@dataclass(slots=True)
class Town:
    """All people of this process."""

    port: int
    questions: list[Question]
    plain: tuple[list[bytes], list[bytes], int]
    """Silence and a question as base64, and the question's last voiced sample."""
    silence: list[bytes]
    book: Book = field(default_factory=Book)
    people: list[Person] = field(default_factory=list)
    wanted: int = 0
    closed: bool = False
    talking: list[dict[Any, None]] = field(default_factory=lambda: [{} for _ in range(_SLOTS)])
    _calls: int = 0

    async def live(self) -> None:
        """Until the input ends."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            ticking = tasks.create_task(self._tick())
            while not self.closed:
                while len(self.people) > self.wanted:
                    self.people.pop().leaves.set()
                if len(self.people) < self.wanted:
                    person = Person(len(self.people))
                    self.people.append(person)
                    tasks.create_task(self._life(person))
                await asyncio.sleep(_ARRIVE_S)
            for person in self.people:
                person.leaves.set()
            await asyncio.sleep(2.0)
            ticking.cancel()

    async def _listen(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            self.wanted = int(line)
        self.closed = True

    async def _tick(self) -> None:
        start, step = time.monotonic(), 0
        while True:
            step += 1
            ahead = start + step * FRAME_MS / 1000 / _SLOTS - time.monotonic()
            if ahead > 0 or step % 64 == 0:
                await asyncio.sleep(max(0.0, ahead))
            now = time.monotonic()
            if step % _SLOTS == 0:
                self.book.late_ms.append(round(max(0.0, -ahead) * 1000, 2))
            for caller in tuple(self.talking[step % _SLOTS]):
                if isinstance(caller, websocket.Caller):
                    caller.tick()
                else:
                    caller.tick(now)

    async def _life(self, person: Person) -> None:
        while not person.leaves.is_set():
            pause = _BETWEEN_S
            try:
                began = time.monotonic()
                caller = await (self._ring(person) if person.kind == "twilio" else self._dial(person, None))
                if caller is None:
                    pause = _AGAIN_S
                else:
                    self.book.admitted.append({"at": began, "kind": person.kind})
                    await self._talk(person, caller)
            except OSError as error:
                self.book.failures.append(f"{person.kind}: {error}")
                pause = _AGAIN_S
            await _either(person.leaves, random.uniform(*pause))

    async def _ring(self, person: Person) -> Any:
        """The carrier asks the webhook; None: busy."""
        self._calls += 1
        call_id = f"CA{os.getpid():016x}{self._calls:016x}"
        began = time.monotonic()
        status, answer = await self._asked(person, call_id)
        if _LOUDLY in answer:
            self._refused(began, person.kind, "busy tone")
            return None
        token = answer.partition(b'name="token" value="')[2].partition(b'"')[0].decode()
        if not token:
            self.book.failures.append(f"webhook: {status}")
            return None
        return await self._dial(person, (call_id, token))

    async def _asked(self, person: Person, call_id: str) -> tuple[str, bytes]:
        form = f"CallSid={call_id}&Direction=inbound&CallStatus=ringing&From=%2B1555{person.number:07}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(person.address, 0))
        try:
            writer.write(
                f"POST /phone/twilio/answer HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            size = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            return head[:40].decode(errors="replace"), await reader.readexactly(int(size))
        except (asyncio.IncompleteReadError, ValueError) as error:
            raise ConnectionError(f"no whole answer of the webhook: {error}") from error
        finally:
            writer.close()

    async def _dial(self, person: Person, granted: tuple[str, str] | None) -> Any:
        """A connection that is up; None: refused."""
        self._calls += 1
        caller: Any
        if granted is not None:
            url = f"ws://127.0.0.1:{self.port}/phone/twilio"
            caller = twilio.Caller(url, self._calls, *self.plain, call_id=granted[0], token=granted[1])
        else:
            slot = self._calls * 7 % _SLOTS
            caller = websocket.Caller(f"over-{os.getpid()}-{self._calls}", self.silence, self.questions, slot)
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: caller, "127.0.0.1", self.port, local_addr=(person.address, 0))
        while not caller.live and not caller.failure and time.monotonic() - began < _PATIENCE_S:  # noqa: ASYNC110 - a caller costs little, and tells nobody
            await asyncio.sleep(0.01)
        if caller.live:
            return caller
        if granted is None and " 503 " in caller.failure[:20]:
            self._refused(began, person.kind, "503", caller.refused_at)
        else:
            self.book.failures.append(f"{person.kind} did not come up: {caller.failure[:80]}")
        return None

    def _refused(self, began: float, kind: Kind, how: str, at: float = 0.0) -> None:
        took_ms = round(((at or time.monotonic()) - began) * 1000, 2)
        self.book.refusals.append({"at": began, "ms": took_ms, "kind": kind, "how": how})

    async def _talk(self, person: Person, caller: Any) -> None:
        slot = self.talking[caller.slot]
        slot[caller] = None
        until = time.monotonic() + random.uniform(*_TALK_S)
        while caller.live and time.monotonic() < until and not person.leaves.is_set():
            await _either(person.leaves, 0.25)
        slot.pop(caller, None)
        if caller.live:
            caller.leave()
        elif caller.failure:
            self.book.failures.append(f"{person.kind}: {caller.failure[:80]}")
        self.book.notices += getattr(caller, "notices", ())
        self.book.turns += [_plain(turn, person.kind) for turn in caller.turns]


def _plain(turn: Any, kind: Kind) -> dict[str, Any]:
    """When the question's last voiced sample was sent, and when the first audio of its answer came (-1: never)."""
    if isinstance(turn, websocket.Turn):
        return {"sent": turn.sent, "answered": turn.arrivals[0] if turn.arrivals else -1.0, "kind": kind}
    return {"sent": turn.voice_end, "answered": turn.arrivals[0][0] if turn.arrivals else -1.0, "kind": kind}


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def run(port: int, questions: list[Question], spoken: Samples, last_voiced: int) -> Book:
    """Live until standard input ends."""
    noise = np.random.default_rng(1).normal(0, 8.0, 8000).astype(np.int16)
    plain = (twilio.payloads(noise), twilio.payloads(spoken), last_voiced)
    town = Town(port, questions, plain, websocket.frames(noise))
    await town.live()
    return town.book


def main(
    port: Annotated[int, typer.Option()],
    out: Annotated[Path, typer.Option()],
    speech: Annotated[Path, typer.Option(help="What to ask, as benchmarks.density_client.save_questions writes it.")],
) -> None:
    """Call as told."""
    gc.disable()
    with np.load(speech) as found:
        name = found.files[0]
        spoken, last = found[name], int(name.partition("-")[2])
    book = uvloop.run(run(port, load_questions(speech), spoken, last))
    out.write_text(json.dumps({each: getattr(book, each) for each in Book.__slots__}))


if __name__ == "__main__":
    typer.run(main)
