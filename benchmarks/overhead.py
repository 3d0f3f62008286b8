"""What the gateway itself adds to a call, under load.

``python -m benchmarks.overhead [--calls 50] [--utterances 4] [--stt-ms 100 …] [--vad silero|energy] [--json FILE]``

:mod:`benchmarks.server` runs in its own process with simulated stages; this process holds the calls over real sockets:
full profile, μ-law at 8 kHz, 20 ms a message in real time both ways, as a phone bridge sends it. Everything is measured
on waveforms; the client's jitter buffer is 0.

Definitions, all in milliseconds and for each utterance:

``raw``
    From the caller's last voiced sample to the agent's first voiced one on the tape. A caller's frame counts as spoken
    when it is sent, so up to 20 ms of framing are in it.
``planned``
    What the simulated stages and the settings alone take, counted from the last voiced sample and with no time lost
    anywhere: text is asked for when voice activity has seen ``stop_ms`` of silence and comes ``stt_ms`` later; then
    the first phrase is complete after ``first_phrase_ms`` (the first token and as many more as the chunker wants) and
    audible ``tts_ms`` later. With speculation all of that runs in the shadow of the endpointing delay::

        planned = max(endpointing_ms, stop_ms + stt_ms + first_phrase_ms + tts_ms)

    and without it the reply begins only after the turn is over::

        planned = max(endpointing_ms, stop_ms + stt_ms) + first_phrase_ms + tts_ms
``voice_end``
    How much later than the waveform voice activity places the last voiced sample (from ``speech.stopped``; silence that
    the model takes for speech). It is a judgement, not time lost.
``overhead``
    ``raw - planned - voice_end``: windows of voice activity, frames, scheduling, resampling, codecs, storing the
    transcript in Redis before the first audio, the 20 ms clock of playout, sockets.

CPU is user and system time of the server process (its Redis not included) over the measured stretch, divided by the
seconds of all calls. When our own frames leave late the client is the bottleneck, and the report says so.
"""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import QUESTIONS, Clip, embedded_voice, say
from benchmarks.exchanges import calling
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from benchmarks.server import Vad
from benchmarks.simulated import Latencies, first_phrase_ms
from benchmarks.statistics import Spread, spread
from benchmarks.waveform import voice_on_tape, voice_to_voice_ms
from pipeline.vad import VadConfig
from voicegate.client.call import CallClient
from voicegate.client.connection import CallTarget
from voicegate.client.microphone import Utterance
from voicegate.client.tape import Tape
from voicegate.kernel.audio import FRAME_MS
from voicegate.kernel.events import SpeechStopped

LATE_MS = 5.0
"""A client whose 99th percentile of send lateness is above this measures itself."""
JITTER_MS = 60.0
"""Jitter buffer for counting gaps: our choice, three frames."""
_STAGGER_S = 0.137
"""Between the starts of two calls: no multiple of a frame or a window, so that calls do not march in step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of the simulated gateway."""

    latencies: Latencies
    endpointing_ms: int = 250
    speculate: bool = True
    vad: Vad = Vad.SILERO

    @property
    def planned_ms(self) -> float:
        """``planned`` of the module's definitions."""
        stages = self.latencies
        reply = first_phrase_ms(stages) + stages.tts_ms
        text = VadConfig().stop_ms + stages.stt_ms
        if self.speculate:
            return max(self.endpointing_ms, text + reply)
        return max(self.endpointing_ms, text) + reply

    def options(self) -> list[str]:
        """The command line of :mod:`benchmarks.server`."""
        stages = self.latencies
        numbers = {
            "--stt-ms": stages.stt_ms,
            "--ttft-ms": stages.ttft_ms,
            "--tokens": stages.tokens,
            "--token-ms": stages.token_ms,
            "--tts-ms": stages.tts_ms,
            "--endpointing-ms": self.endpointing_ms,
        }
        options = [part for name, value in numbers.items() for part in (name, str(value))]
        return [*options, "--vad", self.vad.value, "--speculate" if self.speculate else "--no-speculate"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One utterance under load, in milliseconds."""

    raw_ms: float
    voice_end_ms: float
    overhead_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of all calls gave."""

    measured: list[Measured]
    unanswered: int
    send_lateness_ms: Spread | None
    cpu_ms_per_call_second: float | None
    gaps: int
    """In the agents' audio, as a jitter buffer of :data:`JITTER_MS` would have played it."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance and where its call's record stood before it."""

    utterance: Utterance
    mark: int


async def hold(target: CallTarget, clip: Clip, utterances: int, delay_s: float) -> tuple[CallClient, list[Spoken]]:
    """One call with ``utterances`` turns. Nothing is computed meanwhile: that would delay the other calls' frames."""
    await asyncio.sleep(delay_s)
    spoken = []
    async with calling(target) as call:
        samples = clip.at(call.rate_hz)
        await call.greeting_over()
        for _ in range(utterances):
            mark = call.record.mark
            utterance = await call.speak(samples)
            spoken.append(Spoken(utterance, mark))
            await call.reply_over(utterance)
        await call.hang_up()
    return call, spoken


def evaluate(call: CallClient, spoken: Sequence[Spoken], planned_ms: float) -> list[Measured | None]:
    """Each utterance of a call that is over; None where no answer came before the next utterance."""
    agent = call.tape.agent()
    results: list[Measured | None] = []
    marks = [each.mark for each in spoken[1:]] + [call.record.mark]
    ends = [each.utterance.end - each.utterance.samples.size for each in spoken[1:]] + [agent.size]
    for each, end, mark in zip(spoken, ends, marks, strict=True):
        start = each.utterance.end - each.utterance.samples.size
        voice = voice_on_tape(each.utterance.samples, start, call.rate_hz)
        raw_ms = voice_to_voice_ms(agent[:end], voice, call.rate_hz)
        stops = call.record.of(SpeechStopped, each.mark, mark)
        if raw_ms is None or not stops:
            results.append(None)
            continue
        voice_end_ms = stops[-1].audio_ms - voice.last * 1000 / call.rate_hz
        results.append(Measured(raw_ms, voice_end_ms, raw_ms - planned_ms - voice_end_ms))
    return results


async def measure(plan: Plan, url: str | None, calls: int, utterances: int) -> Load:
    """Hold all calls at once against a server of our own (or one that runs at ``url`` with the same settings)."""
    samples, _ = await say(embedded_voice(), QUESTIONS[0])
    clip = Clip("question", samples)
    async with gateway(url, module="benchmarks.server", options=plan.options()) as running:
        target = CallTarget("", url=running.url, encoding="pcmu", jitter_ms=0.0)
        process = psutil.Process(running.pid) if running.pid else None
        before = _cpu_s(process)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(target, clip, utterances, number * _STAGGER_S)) for number in range(calls)]
        used = _cpu_s(process) - before
    held = [task.result() for task in tasks]
    call_seconds = sum(len(call.lateness_s) * FRAME_MS / 1000 for call, _ in held)
    results = [each for call, spoken in held for each in evaluate(call, spoken, plan.planned_ms)]
    lateness = [late * 1000 for call, _ in held for late in call.lateness_s]
    return Load(
        measured=[each for each in results if each is not None],
        unanswered=sum(each is None for each in results),
        send_lateness_ms=spread(lateness),
        cpu_ms_per_call_second=round(used * 1000 / call_seconds, 2) if process else None,
        gaps=sum(gaps(call) for call, _ in held),
    )


def gaps(call: CallClient) -> int:
    """Times the agent's audio would have stopped short for a listener with a jitter buffer of :data:`JITTER_MS`."""
    listener = Tape(call.rate_hz, 0.0, jitter_ms=JITTER_MS)
    for arrived_s, samples in call.agent_packets:
        listener.put_agent(arrived_s, samples)
    return listener.glitches


def _cpu_s(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return times.user + times.system


def main(
    calls: Annotated[int, typer.Option(min=1)] = 50,
    utterances: Annotated[int, typer.Option(min=1, help="Of each call.")] = 4,
    url: Annotated[str, typer.Option(help="A running benchmarks.server; one is started if empty.")] = "",
    stt_ms: Annotated[float, typer.Option(min=0)] = 100.0,
    ttft_ms: Annotated[float, typer.Option(min=0)] = 150.0,
    tokens: Annotated[int, typer.Option(min=1)] = 40,
    token_ms: Annotated[float, typer.Option(min=0)] = 20.0,
    tts_ms: Annotated[float, typer.Option(min=0)] = 75.0,
    endpointing_ms: Annotated[int, typer.Option(min=0)] = 250,
    vad: Annotated[Vad, typer.Option()] = Vad.SILERO,
    speculate: Annotated[bool, typer.Option()] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure the gateway's overhead under load."""
    machine = this_machine()
    plan = Plan(Latencies(stt_ms, ttft_ms, tokens, token_ms, tts_ms), endpointing_ms, speculate, vad)
    gc.disable()  # a collection over a minute of 50 tapes would stop all calls for longer than a frame
    load = uvloop.run(measure(plan, url or None, calls, utterances))
    spreads = {
        "raw": spread([each.raw_ms for each in load.measured]),
        "voice end": spread([each.voice_end_ms for each in load.measured]),
        "overhead": spread([each.overhead_ms for each in load.measured]),
        "own sending late": load.send_lateness_ms,
    }
    _show(Console(), plan, load, spreads, calls)
    settings = {"calls": calls, "utterances": utterances, "planned_ms": plan.planned_ms, "plan": plan}
    write_results(json_file, machine, settings=settings, summary=spreads, load=load)


def _show(console: Console, plan: Plan, load: Load, spreads: dict[str, Spread | None], calls: int) -> None:
    table = Table(title=f"{calls} calls at once, planned {plan.planned_ms:.0f} ms", title_justify="left")
    for name in ("ms", "median", "p90", "p99", "worst", "n"):
        table.add_column(name, justify="left" if name == "ms" else "right")
    for name, values in spreads.items():
        if values is not None:
            numbers = (values.median, values.p90, values.p99, values.worst)
            table.add_row(name, *(f"{number:.1f}" for number in numbers), str(values.count))
    console.print(table)
    if load.cpu_ms_per_call_second is not None:
        console.print(f"server CPU: {load.cpu_ms_per_call_second} ms for each second of a call")
    console.print(f"unanswered utterances: {load.unanswered}; gaps in the agents' audio: {load.gaps}")
    late = load.send_lateness_ms
    if late is not None and late.p99 > LATE_MS:
        console.print(f"[red]The client is the bottleneck:[/] its own frames left {late.p99:.1f} ms late (p99).")


if __name__ == "__main__":
    typer.run(main)
