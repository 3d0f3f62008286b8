"""The whole gateway on engines of known latency.

``python -m benchmarks.server --port N --stt-ms 100 --ttft-ms 150 --tokens 40 --token-ms 20 --tts-ms 75
[--endpointing-ms 250] [--vad silero|energy] [--no-speculate] [--counting] [--tool-ms 0]``

Everything is the product's own (composition, door, admission, turn machine, playout, journal in a real Redis), but
speech to text, agent and text to speech only wait (:mod:`benchmarks.simulated`). With ``--counting`` the agent counts
in tones (:mod:`benchmarks.counting`). Stops on SIGTERM.
"""

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
import uvloop

from benchmarks.counting import CountingAgent, ToneVoice
from benchmarks.simulated import EnergyActivity, Latencies, SimulatedAgent, SimulatedSpeech, SimulatedSpeechToText
from pipeline.adapters.silero import SileroVoiceActivity
from pipeline.ports import Agent, TextToSpeech, VoiceActivity
from pipeline.session_config import Engines
from voicegate import settings as configuration
from voicegate.app import running
from voicegate.collector import keep_what_is_loaded
from voicegate.kernel.observability.logs import LogConfig, configure_logs
from voicegate.settings import Settings


class Vad(StrEnum):
    SILERO = "silero"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Counting:
    """The agent counts in tones."""

    tool_ms: float = 0.0


async def open_simulated(
    latencies: Latencies, vad: Vad, stack: AsyncExitStack, counting: Counting | None = None
) -> Engines:
    """Engines for :func:`voicegate.app.running`; ``stack`` owns what they hold."""
    activity: VoiceActivity = EnergyActivity()
    if vad is Vad.SILERO:
        activity = await stack.enter_async_context(SileroVoiceActivity())
    agent: Agent = SimulatedAgent(latencies)
    voice: TextToSpeech = SimulatedSpeech(latencies)
    if counting is not None:
        agent, voice = CountingAgent(latencies, counting.tool_ms), ToneVoice(latencies)
    return Engines(vad=activity, stt=SimulatedSpeechToText(latencies), agent=agent, tts=voice)


async def serve(settings: Settings, latencies: Latencies, vad: Vad, counting: Counting | None = None) -> None:
    """Serve until SIGTERM or SIGINT, as ``voicegate serve`` does."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        engines = await open_simulated(latencies, vad, stack, counting)
        await stack.enter_async_context(running(settings, engines))
        keep_what_is_loaded()
        await stop.wait()


def main(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")],
    stt_ms: Annotated[float, typer.Option(min=0)] = 100.0,
    ttft_ms: Annotated[float, typer.Option(min=0)] = 150.0,
    tokens: Annotated[int, typer.Option(min=1)] = 40,
    token_ms: Annotated[float, typer.Option(min=0)] = 20.0,
    tts_ms: Annotated[float, typer.Option(min=0)] = 75.0,
    endpointing_ms: Annotated[int, typer.Option(min=0)] = 250,
    vad: Annotated[Vad, typer.Option(help="Real Silero, or a level meter.")] = Vad.SILERO,
    speculate: Annotated[bool, typer.Option(help="Work on a reply before the turn is over.")] = True,
    counting: Annotated[bool, typer.Option(help="An agent that counts in tones.")] = False,
    tool_ms: Annotated[float, typer.Option(min=0, help="Length of the counting agent's tool call.")] = 0.0,
) -> None:
    """Run the gateway with simulated stages."""
    settings = configuration.load(host="127.0.0.1", port=port, endpointing_ms=endpointing_ms, speculate=speculate)
    configure_logs(LogConfig(json=True, level=settings.log_level, pii=False))
    latencies = Latencies(stt_ms, ttft_ms, tokens, token_ms, tts_ms)
    uvloop.run(serve(settings, latencies, vad, Counting(tool_ms) if counting else None))


if __name__ == "__main__":
    typer.run(main)
