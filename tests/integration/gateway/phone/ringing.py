"""A gateway that phones can call, over real sockets; its agent says what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from gateway.config import GatewayConfig
from gateway.load import LoadGauge
from gateway.parts import build_parts
from gateway.phone.audiosocket.listener import audiosocket_listener
from gateway.phone.capability import NotesHere
from gateway.phone.door import phone_routes
from gateway.server import build_application, serve
from tests.integration.gateway.conftest import EchoCall, EchoCalls, Served
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget
from voicegate.exchanges import audiosocket_config
from voicegate.kernel.audio import Samples
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.observability.prometheus import PrometheusTelemetry
from voicegate.phones import phone_parts
from voicegate.settings import load

QUIET = 60
"""Largest sample of silence: what companding leaves of zero, and its rounding."""


@dataclass(slots=True)
class Ringing(Served):
    """A running gateway, its calls, and where AudioSocket listens."""

    audiosocket_port: int = 0
    load: LoadGauge = field(default_factory=LoadGauge)
    notes: NotesHere = field(default_factory=lambda: NotesHere(SystemClock()))
    """What it remembers of the carriers' calls."""

    def fill(self) -> None:
        """No new call is taken from now on."""
        while not self.load.full:
            for _ in range(10):
                self.load.observe(1.0)
            self.load.judge()

    def target(self, via: Any, **fields: Any) -> PhoneTarget:
        """A carrier that calls this gateway over a short wire."""
        url = f"tcp://127.0.0.1:{self.audiosocket_port}" if via == "audiosocket" else self.url
        return PhoneTarget(via, url, network_ms=5.0, **fields)

    async def answered(self, count: int = 1) -> EchoCall:
        """The latest call, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.calls.calls) < count:
                await asyncio.sleep(0.01)
        return list(self.calls.calls.values())[-1]


@asynccontextmanager
async def ringing(
    *, api_keys: tuple[str, ...] = (), anonymous: bool = False, **settings: Any
) -> AsyncIterator[Ringing]:
    """``settings`` are those of the phones, by name. Without a secret of its carrier a loopback gateway takes all."""
    values, clock, registry = load(port=0, audiosocket_port=0, **settings), SystemClock(), CollectorRegistry()
    config = GatewayConfig(port=0, connection_burst=10_000.0, api_keys=api_keys, anonymous=anonymous)
    calls = EchoCalls()
    parts = build_parts(config, calls, clock=clock, telemetry=PrometheusTelemetry(registry), checks={})
    notes = NotesHere(clock)
    phones = phone_parts(values, calls, notes)
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        application = build_application(parts, registry, routes=phone_routes(parts, phones))
        gateway = await stack.enter_async_context(serve(parts, application, tasks))
        line = audiosocket_config(values)
        port = 0 if line is None else await stack.enter_async_context(audiosocket_listener(parts, phones, line, tasks))
        yield Ringing(gateway, calls, registry, port, parts.load, notes)


def tone(seconds: float, rate_hz: int) -> Samples:
    """A voiced sound."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (9000 * np.sin(2 * np.pi * 300 * times)).astype(np.int16)


def callers_voice(seconds: float, rate_hz: int) -> Samples:
    """Another sound than :func:`tone`: what sounds like the agent is taken for its echo."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (9000 * np.sin(2 * np.pi * (500 + 900 * times) * times)).astype(np.int16)


def voiced(samples: Samples) -> int:
    """20 ms pieces that are not silent."""
    return int(
        (np.abs(samples[: samples.size // 160 * 160].reshape(-1, 160).astype(np.int32)).max(axis=1) > QUIET).sum()
    )


async def soon(holds: Callable[[], Any], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)


def say(call: EchoCall, seconds: float) -> None:
    """The agent speaks, at once."""
    call.say(tone(seconds, 16_000))
    assert call._ready is not None
    call._ready()


async def talks_and_listens(phone: PhoneCall, call: EchoCall) -> None:
    """The agent is heard whole, the caller too."""
    say(call, 1.0)
    await soon(lambda: voiced(phone.tape.agent()) * 160 >= 0.98 * phone.rate_hz)
    await phone.wait_s(0.3)
    heard = voiced(phone.tape.agent()) * 160 / phone.rate_hz
    assert 0.98 <= heard <= 1.2, f"one second was said, {heard:.2f} s were heard"
    call.heard.clear()
    await phone.speak(callers_voice(0.6, phone.rate_hz))
    await soon(lambda: sum(int(np.abs(frame.astype(np.int32)).max()) > 3000 for frame in call.heard) >= 28)


async def is_interrupted(phone: PhoneCall, call: EchoCall, *, within_s: float) -> None:
    """The agent stops when it is told to; what it is told to have been heard is what was heard."""
    played, spoken = call.played_samples, voiced(phone.tape.agent())
    say(call, 8.0)
    await soon(lambda: voiced(phone.tape.agent()) - spoken >= (phone.rate_hz // 160) // 2)  # half a second
    before = voiced(phone.tape.agent())
    call.interrupt()
    await phone.wait_s(within_s + 0.5)
    after = voiced(phone.tape.agent())
    pieces_a_second = phone.rate_hz / 160
    assert (after - before) / pieces_a_second <= within_s, "the agent went on"
    told = (call.played_samples - played) / call.request.output_rate_hz
    if call.request.confirms:
        assert abs(told - (after - spoken) / pieces_a_second) <= 0.4, "the account of what was heard is wrong"
