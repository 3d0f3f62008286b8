"""A call over a bad network, both ways, with real sockets: the voice arrives in time and whole, whatever was lost."""

import asyncio
import time
from contextlib import AsyncExitStack

import aiohttp
import numpy as np
import pytest

from benchmarks.impairment import Address, Network, Outage, Relay, relay
from benchmarks.webrtc_caller import PAYLOAD_TYPE, Caller, encoded
from gateway.metronome import Metronome
from gateway.webrtc.certificate import Certificates
from gateway.webrtc.receiver import AudioReceiver
from gateway.webrtc.rtcp import ReceiverReport, build_receiver_report
from tests.integration.gateway.conftest import EchoCall, Served
from voicegate.kernel.audio import Frame, Samples
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.telemetry import NoTelemetry

BAD = Network(loss=0.05, jitter_s=0.05)
GOOD = Network()


def voice(seconds: float) -> Samples:
    """Voiced sound in syllables, which Opus takes for speech."""
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    wave = sum(np.cos(2 * np.pi * 150 * k * time_s) / k for k in range(1, 12))
    return np.rint(4_500 * wave * (0.6 - 0.4 * np.cos(2 * np.pi * 3 * time_s))).astype(np.int16)


class Stamped(list[Frame]):
    """Frames, and when each was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s: list[float] = []

    def append(self, frame: Frame) -> None:
        super().append(frame)
        self.at_s.append(time.perf_counter())


class Line:
    """A call through a relay, the caller's clock, and what he hears."""

    def __init__(self, call: EchoCall, network: Relay, heard: Stamped) -> None:
        self.call = call
        self.network = network
        self.heard = heard
        self.sent_s: list[float] = []
        self.agent = AudioReceiver(PAYLOAD_TYPE)
        self.agent_frames: list[Frame] = []

    def delays_ms(self, first: int = 0) -> list[float]:
        """From the first sample of each frame, which is 20 ms older than its packet, to its being heard."""
        pairs = zip(self.heard.at_s[first:], self.sent_s[first:], strict=False)
        return [(heard - sent) * 1000 + 20 for heard, sent in pairs]


async def dialled(served: Served, stack: AsyncExitStack) -> Line:
    """A call that is up, on a good network, after its first frames."""
    caller = Caller(Certificates(SystemClock()).newest(), encoded(voice(20.0), 0.0), 77)
    between: list[Relay] = []

    async def through(address: Address) -> Address:
        between.append(await stack.enter_async_context(relay(address)))
        return between[-1].address

    http = await stack.enter_async_context(aiohttp.ClientSession())
    await caller.connect(http, served.http, through=through)
    [call] = served.calls.calls.values()
    call.heard = heard = Stamped()
    line = Line(call, between[0], heard)
    caller.hear = lambda packet: line.agent.receive(packet, time.perf_counter())

    def tick() -> None:
        line.sent_s.append(time.perf_counter())
        caller.tick()
        line.agent_frames.extend(line.agent.take(time.perf_counter()))
        block = line.agent.report(time.perf_counter()) if len(line.sent_s) % 25 == 0 else None
        if block is not None:
            caller.report(build_receiver_report(ReceiverReport(77, (block,))))

    metronome = Metronome(SystemClock(), NoTelemetry())
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    ticking = tasks.create_task(metronome.run())
    stack.callback(ticking.cancel)
    stack.push_async_callback(caller.hang_up, http, served.http)
    metronome.join(tick)
    await asyncio.sleep(0.5)
    return line


@pytest.mark.timeout(60)
async def test_loss_and_jitter_both_ways(served: Served) -> None:
    async with AsyncExitStack() as stack:
        line = await dialled(served, stack)
        line.network.become(BAD, BAD)
        line.call.say(voice(6.0))
        await asyncio.sleep(6.5)
        line.network.become(GOOD, GOOD)
        await asyncio.sleep(0.5)
        # There: each packet's 20 ms in their place, and in time, but for what this machine itself was late.
        assert abs(len(line.heard) - len(line.sent_s)) <= 8
        stalls_ms = np.diff(line.sent_s) * 1000 - 20
        assert np.percentile(line.delays_ms(30), 50) <= 100 + stalls_ms.max()
        assert np.percentile(line.delays_ms(30), 95) <= 150 + stalls_ms.max()
        loud = [np.abs(frame.astype(int)).max() > 1_000 for frame in line.heard]
        assert np.mean(loud[30:]) > 0.95, "lost packets are rebuilt or concealed"
        # And back: our reports made the agent's voice carry second copies.
        counts = line.agent.counts
        assert 0.01 <= counts.lost / counts.received <= 0.12
        assert counts.recovered >= 1
        assert counts.late <= counts.received * 0.01


@pytest.mark.timeout(60)
@pytest.mark.parametrize("held", [True, False], ids=["held up", "lost"])
async def test_an_outage_is_forgotten(served: Served, held: bool) -> None:
    async with AsyncExitStack() as stack:
        line = await dialled(served, stack)
        await asyncio.sleep(1.0)
        outage = Network(outages=(Outage(0.0, 0.3, held=held),))
        line.network.become(outage, outage)
        at = len(line.sent_s)
        await asyncio.sleep(2.0)
        delays = line.delays_ms()
        assert max(delays[at : at + 20]) >= 250, "it was felt"
        stalls_ms = np.diff(line.sent_s[-50:]) * 1000 - 20
        assert np.median(delays[-25:]) <= np.median(delays[25:at]) + 25 + stalls_ms.max(), "and is over"
