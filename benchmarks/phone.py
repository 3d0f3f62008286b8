"""Whole phone calls with real speech on every carrier: what the gateway understood, and what the caller could.

``python -m benchmarks.phone [--via all|twilio,…] [--clips 4] [--calls 3] [--network-ms 20] [--json FILE]``

A gateway with its own engines runs in its own process; a simulated carrier places a call and says recorded clips one
after the other, each when the answer before it is over. Two word error rates come of it, both by ``jiwer`` after
Whisper's English normaliser:

``caller``
    What the gateway committed, against the clips' reference texts.
``agent``
    What the embedded speech to text understands of what was *played* at the caller's ear, against the words that the
    gateway accounts for as heard.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from audiocodecs.resample import resample_whole
from benchmarks.corpus import Clip, questions, recorded
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.phone_lines import Book, book, chosen, line
from benchmarks.phone_setup import PhoneSetup
from benchmarks.results import write_results
from benchmarks.statistics import Spread, spread
from benchmarks.waveform import voice_on_tape, voice_to_voice_ms
from benchmarks.wer import scored
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget, PhoneVia
from voicegate.client.connection import CallFailed
from voicegate.commands.listening import understand
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.events import ReplyFinished, ReplyInterrupted, SpeechStarted, TurnCommitted

_PATIENCE_S, _REFUSALS = 3.0, 20
"""A gateway that is full, or whose machine is busy with something else, is asked again so often."""
NARROW = ("twilio", "telnyx", "plivo", "genesys", "asterisk")
"""Carriers whose leg is μ-law."""


@dataclass(frozen=True, slots=True)
class PhoneExchange:
    """A clip and its answer."""

    via: str
    clip: str
    heard: str
    """What the gateway took it for."""
    errors: int
    words: int
    voice_to_voice_ms: float | None
    agent_heard: str
    """By the gateway's account."""
    agent_understood: str
    """By a listener at the caller's ear."""
    agent_errors: int
    agent_words: int


@dataclass(slots=True)
class PhoneCallHeld:
    """One call."""

    via: str
    exchanges: list[PhoneExchange] = field(default_factory=list)
    glitches: int = 0
    most_buffered_ms: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class PhoneTotal:
    """One carrier."""

    via: str
    exchanges: int
    answered: int
    word_error_rate: float | None
    """Of the caller's words, per cent."""
    agent_word_error_rate: float | None
    voice_to_voice_ms: Spread | None
    glitches: int
    most_buffered_ms: float
    dropped: int
    failures: int


@dataclass(frozen=True, slots=True)
class _Raw:
    clip: Clip
    turns: list[str]
    starts: int
    voice_to_voice_ms: float | None
    agent: Samples
    """What was played from the clip's beginning on: a clip with a pause is answered in the middle of it."""
    told: str


async def hold(target: PhoneTarget, clips: Sequence[Clip], ledger: Book) -> PhoneCallHeld:
    """One call in which all ``clips`` are said."""
    held = PhoneCallHeld(target.via)
    raw: list[_Raw] = []
    rate_hz = PIPELINE_RATE_HZ
    try:
        async with PhoneCall(target) as call:
            rate_hz = call.rate_hz
            await call.greeting_over()
            session = await ledger.session_of(call.facts.call_id)
            for clip in clips:
                exchange = await _exchange(call, clip, session, ledger)
                raw.append(exchange)
            held.glitches, held.most_buffered_ms = call.tape.glitches, round(call.leg.playout.most_ms)
            held.dropped = dict(call.dropped)
            await call.hang_up()
    except (CallFailed, TimeoutError) as error:
        held.failure = f"{target.via}: {error or type(error).__name__}"
    understood = await understand([each.agent for each in raw], rate_hz)
    held.exchanges = [_judged(target.via, each, text) for each, text in zip(raw, understood, strict=True)]
    return held


async def _exchange(call: PhoneCall, clip: Clip, session: str, ledger: Book) -> _Raw:
    before = await ledger.events(session)
    seq = before[-1].seq if before else 0
    utterance = await call.speak(resample_whole(clip.samples, PIPELINE_RATE_HZ, call.rate_hz))
    await call.reply_over(utterance)
    events = await ledger.events(session, seq)
    begin = utterance.end - utterance.samples.size
    voice = voice_on_tape(utterance.samples, begin, call.rate_hz)
    agent = call.tape.agent()
    told = [event for event in events if isinstance(event, ReplyFinished | ReplyInterrupted)]
    return _Raw(
        clip,
        [event.text for event in events if isinstance(event, TurnCommitted) and event.source == "speech"],
        sum(isinstance(event, SpeechStarted) for event in events),
        voice_to_voice_ms(agent, voice, call.rate_hz),
        agent[begin:],
        " ".join(event.text if isinstance(event, ReplyFinished) else event.heard for event in told),
    )


def _judged(via: str, raw: _Raw, understood: str) -> PhoneExchange:
    caller = scored(raw.clip, via, raw.turns, raw.starts)
    agent = scored(Clip("", raw.agent, raw.told), via, [understood], 0)
    latency = raw.voice_to_voice_ms
    return PhoneExchange(
        via,
        raw.clip.name,
        caller.hypothesis,
        caller.errors,
        caller.words,
        None if latency is None else round(latency),
        raw.told,
        understood,
        agent.errors,
        agent.words,
    )


def total(via: str, calls: Sequence[PhoneCallHeld]) -> PhoneTotal:
    """All calls of a carrier."""
    found = [each for call in calls for each in call.exchanges]
    latencies = [each.voice_to_voice_ms for each in found if each.voice_to_voice_ms is not None]
    return PhoneTotal(
        via,
        len(found),
        len(latencies),
        _rate(sum(each.errors for each in found), sum(each.words for each in found)),
        _rate(sum(each.agent_errors for each in found), sum(each.agent_words for each in found)),
        spread(latencies),
        sum(call.glitches for call in calls),
        max((call.most_buffered_ms for call in calls), default=0.0),
        sum(sum(call.dropped.values()) for call in calls),
        sum(bool(call.failure) for call in calls),
    )


def _rate(errors: int, words: int) -> float | None:
    return round(100 * errors / words, 1) if words else None


async def measure(
    vias: Sequence[PhoneVia], clips: Sequence[Clip], calls: int, per_call: int, network_ms: float
) -> dict[PhoneVia, list[PhoneCallHeld]]:
    """All clips on all carriers, ``calls`` calls at a time."""
    free = asyncio.Semaphore(calls)

    async def one(target: PhoneTarget, said: Sequence[Clip], ledger: Book) -> PhoneCallHeld:
        async with free:
            for _ in range(_REFUSALS):
                held = await hold(target, said, ledger)
                if held.exchanges:
                    break
                await asyncio.sleep(_PATIENCE_S)
            return held

    setup = PhoneSetup()
    async with gateway(None, settings=setup.environment()) as running:
        assert running.data_dir is not None, "its own account is read from its Redis"
        parts = [clips[at : at + per_call] for at in range(0, len(clips), per_call)]
        async with book(running.data_dir) as ledger, asyncio.TaskGroup() as group:
            tasks = {
                via: [
                    group.create_task(one(line(setup.target(via, running.url, network_ms=network_ms)), part, ledger))
                    for part in parts
                ]
                for via in vias
            }
    return {via: [task.result() for task in started] for via, started in tasks.items()}


def main(
    via: Annotated[str, typer.Option(help="all, or carriers separated by commas.")] = "all",
    clips: Annotated[int, typer.Option(min=1, help="Clips said on each carrier.")] = 100,
    calls: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 3,
    per_call: Annotated[int, typer.Option(min=1, help="Clips in a call.")] = 4,
    network_ms: Annotated[float, typer.Option(min=0, help="From carrier to gateway, and the same back.")] = 20.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure whole calls on the phone."""
    machine = this_machine()
    said = (recorded("speech") or asyncio.run(questions()))[:clips]
    held = uvloop.run(measure(chosen(via), said, calls, per_call, network_ms))
    totals = [total(name, found) for name, found in held.items()]
    console = Console()
    console.print(_table(totals))
    for failure in [call.failure for found in held.values() for call in found if call.failure]:
        console.print(failure, highlight=False)
    narrow = [each for name, found in held.items() if name in NARROW for call in found for each in call.exchanges]
    rate = _rate(sum(each.errors for each in narrow), sum(each.words for each in narrow))
    console.print(f"caller's words wrong on μ-law legs: {rate} %")
    settings = {"clips": len(said), "calls": calls, "per_call": per_call, "network_ms": network_ms}
    everything = [call for found in held.values() for call in found]
    write_results(json_file, machine, settings=settings, mulaw_word_error_rate=rate, totals=totals, calls=everything)


def _table(totals: Sequence[PhoneTotal]) -> Table:
    table = Table(title="Whole calls on the phone", title_justify="left")
    names = ("carrier", "answered", "caller WER %", "agent WER %", "latency ms", "glitches", "buffered ms", "dropped")
    for name in names:
        table.add_column(name, justify="left" if name == "carrier" else "right")
    for each in totals:
        latency = "–" if each.voice_to_voice_ms is None else f"{each.voice_to_voice_ms.median:.0f}"
        rates = ("–" if rate is None else str(rate) for rate in (each.word_error_rate, each.agent_word_error_rate))
        counts = (latency, each.glitches, f"{each.most_buffered_ms:.0f}", each.dropped)
        table.add_row(each.via, f"{each.answered} of {each.exchanges}", *rates, *map(str, counts))
    return table


if __name__ == "__main__":
    typer.run(main)
