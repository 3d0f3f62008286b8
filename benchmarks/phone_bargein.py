"""How quickly a caller on the phone gets silence at the ear, and whether the gateway knows what was heard.

``python -m benchmarks.phone_bargein [--via all|twilio,…] [--count 100] [--calls 2] [--at-once 3] [--json FILE]``

:mod:`benchmarks.server` runs in its own process with an agent that counts in tones; simulated carriers call it, each
with its own protocol, buffer and network delay both ways. The caller asks, and at a random moment after the first
sample of the answer speaks over it: up to 4.5 s later, every third time within the first 200 ms, and now and then while
the agent waits for a tool, which is almost a second of silence in the middle of every answer.

``stop``
    From the caller's first voiced sample to the last voiced sample of the answer that was *played* at the ear. What was
    on its way through the network counts, what the carrier threw away does not.
``heard``
    Words by the gateway's account (``reply.interrupted``) minus words whose middle was played, decoded from the played
    waveform by their pitch.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from audiocodecs.resample import resample_whole
from benchmarks.corpus import Clip, questions, recorded
from benchmarks.counting import TOOL_AFTER, heard_words
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.phone_lines import Book, Reply, book, chosen, closed_replies, line
from benchmarks.phone_setup import PhoneSetup
from benchmarks.results import write_results
from benchmarks.statistics import Spread, spread
from benchmarks.waveform import barge_in_ms, longest_pause_ms, voice_on_tape
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget, PhoneVia
from voicegate.client.connection import CallFailed
from voicegate.client.microphone import Utterance
from voicegate.kernel.audio import PIPELINE_RATE_HZ

EARLY_S = 0.2
_ANSWER_S = 15.0
_LONGEST_PAUSE_MS = 200.0
_LEAST_CLIP_S, _MOST_CLIP_S = 1.2, 4.0
TOOL_MS = 2_500.0
"""The first words take 1.7 s: after them there is silence of almost a second."""
EARLY_SHARE, LATE_S = 0.3, 4.5
MOST_LATE_MS = 40.0
"""Two frames: above it a measurement tells more of this machine than of the gateway."""
_PATIENCE_S, _REFUSALS = 3.0, 20
"""A gateway that is full, or whose machine is busy with something else, is asked again so often."""
_BEFORE_S = 0.1
"""The gateway's account of an answer may be closed this much before it is heard by the carrier's."""
_PER_CALL = 12
"""Barge-ins of one call: a call that breaks takes no more with it."""


@dataclass(frozen=True, slots=True)
class PhoneBargeIn:
    """The caller spoke over an answer."""

    via: str
    clip: str
    after_s: float
    """After the answer's first sample at the ear."""
    stop_ms: float | None
    """None: the ear was silent already."""
    taken: bool
    """The gateway took it for a barge-in."""
    in_tool: bool
    """The answer had come to its tool call and no further."""
    words_told: int | None
    words_played: int
    own_late_ms: float
    """The latest of our own frames around it."""

    @property
    def disturbed(self) -> bool:
        """This machine measured itself."""
        return self.own_late_ms > MOST_LATE_MS

    @property
    def words_off(self) -> int | None:
        """Told minus played."""
        return None if self.words_told is None else self.words_told - self.words_played


@dataclass(frozen=True, slots=True)
class PhoneSummary:
    """One carrier in a few numbers."""

    via: str
    barge_ins: int
    """Without those that were disturbed; all that follows is of these."""
    disturbed: int
    taken: int
    stop_ms: Spread | None
    early: int
    """Within the answer's first 200 ms."""
    in_tool: int
    compared: int
    exact: int
    within_one: int
    worst_words_off: int
    failures: int
    """Calls that broke."""
    dropped: int
    """Messages that the carrier threw away."""
    own_lateness_ms: Spread | None
    """Of our own frames: above some milliseconds this machine measures itself."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A barge-in as it was made; what came of it is read when the call is over."""

    clip: str
    asked: Utterance
    """What the answer answered."""
    began_s: float
    """When the answer became audible."""
    utterance: Utterance
    """What was said over it."""


@dataclass(slots=True)
class Held:
    """What a call gave."""

    barge_ins: list[PhoneBargeIn]
    dropped: int = 0
    lateness_s: list[float] = field(default_factory=list)
    """How late our own frames were."""
    failure: str = ""


async def clips() -> list[Clip]:
    """What callers say: without pauses, since a pause makes two turns of one clip."""
    known = recorded("speech") + await questions()
    return [
        each
        for each in known
        if _LEAST_CLIP_S <= each.samples.size / PIPELINE_RATE_HZ <= _MOST_CLIP_S
        and longest_pause_ms(each.samples, PIPELINE_RATE_HZ) <= _LONGEST_PAUSE_MS
    ]


async def hold(target: PhoneTarget, said: Sequence[Clip], count: int, chance: random.Random, book: Book) -> Held:
    """``count`` barge-ins of one call."""
    held = Held([])
    try:
        async with PhoneCall(target) as call:
            origin = call.utc_origin
            await call.greeting_over()
            session = await book.session_of(call.facts.call_id)
            cuts = await _cut_in(call, said, count, chance)
            held.dropped, held.lateness_s = sum(call.dropped.values()), call.lateness_s
            await call.hang_up()
    except (CallFailed, TimeoutError) as error:
        held.failure = f"{target.via}: {error or type(error).__name__}"
        return held
    replies = closed_replies(await book.settled(session))
    held.barge_ins = [each for cut in cuts if (each := _judged(call, cut, replies, origin)) is not None]
    return held


async def _cut_in(call: PhoneCall, said: Sequence[Clip], count: int, chance: random.Random) -> list[_Cut]:
    """Nothing is computed or looked up meanwhile: a caller who breaks in at once has no time for it."""
    cuts: list[_Cut] = []
    clip = chance.choice(said)
    asked = await call.speak(resample_whole(clip.samples, PIPELINE_RATE_HZ, call.rate_hz))
    while len(cuts) < count:
        clip = chance.choice(said)
        samples = resample_whole(clip.samples, PIPELINE_RATE_HZ, call.rate_hz)
        lead_s = voice_on_tape(samples, 0, call.rate_hz).first / call.rate_hz
        after_s = chance.uniform(0.0, EARLY_S if chance.random() < EARLY_SHARE else LATE_S)
        end_s = call.tape.time_s(asked.end)
        if not await call.until(lambda end_s=end_s: call.agent_packets[-1][0] >= end_s, _ANSWER_S):  # type: ignore[misc]
            break
        began_s = next(at for at, _ in call.agent_packets if at >= end_s)
        await call.wait_s(max(0.0, began_s + after_s - lead_s - call.now_s))
        utterance = call.start_speaking(samples)
        await call.until(lambda utterance=utterance: utterance.spoken, 20.0)  # type: ignore[misc]
        cuts.append(_Cut(clip.name, asked, began_s, utterance))
        asked = utterance
    await call.wait_s(1.0)
    return cuts


def _judged(call: PhoneCall, cut: _Cut, replies: Sequence[Reply], origin: datetime) -> PhoneBargeIn | None:
    """None where the gateway's account has nothing of this answer."""
    utterance, rate_hz = cut.utterance, call.rate_hz
    voice = voice_on_tape(utterance.samples, utterance.end - utterance.samples.size, rate_hz)
    since_s, until_s = cut.began_s - _BEFORE_S, call.tape.time_s(utterance.end)
    closed = [reply for reply in replies if since_s < (reply.at - origin).total_seconds() <= until_s]
    if not closed:
        return None
    end, next_at = utterance.end, closed[0].next_at
    if next_at is not None:  # a pause in the clip was taken for its end, and the next answer came in the middle of it
        end = min(end, max(cut.asked.end, round((next_at - origin).total_seconds() * rate_hz)))
    agent = call.tape.agent()
    tick = voice.first // (rate_hz // 50)
    late_s = max(call.lateness_s[max(0, tick - 25) : tick + 75], default=0.0)
    played = heard_words(agent[cut.asked.end : end], rate_hz).words
    stop_ms = barge_in_ms(agent[:end], voice, rate_hz)
    return PhoneBargeIn(
        call.target.via,
        cut.clip,
        round(call.tape.time_s(voice.first) - cut.began_s, 2),
        None if stop_ms is None else round(stop_ms, 1),
        taken=closed[0].interrupted,
        in_tool=stop_ms is None and played == TOOL_AFTER,
        words_told=len(closed[0].heard.split()) if len(closed) == 1 else None,
        words_played=played,
        own_late_ms=round(late_s * 1000, 1),
    )


def summarise(via: str, calls: Sequence[Held]) -> PhoneSummary:
    """All calls of one carrier."""
    everything = [each for held in calls for each in held.barge_ins]
    found = [each for each in everything if not each.disturbed]
    taken = [each for each in found if each.taken]
    off = [abs(each.words_off) for each in found if each.words_off is not None]
    return PhoneSummary(
        via,
        barge_ins=len(found),
        disturbed=len(everything) - len(found),
        taken=len(taken),
        stop_ms=spread([each.stop_ms for each in taken if each.stop_ms is not None]),
        early=sum(each.after_s < EARLY_S for each in found),
        in_tool=sum(each.in_tool for each in found),
        compared=len(off),
        exact=off.count(0),
        within_one=sum(each <= 1 for each in off),
        worst_words_off=max(off, default=0),
        failures=sum(bool(held.failure) for held in calls),
        dropped=sum(held.dropped for held in calls),
        own_lateness_ms=spread([late * 1000 for held in calls for late in held.lateness_s]),
    )


async def measure(
    vias: Sequence[PhoneVia], count: int, calls: int, at_once: int, network_ms: float, seed: int
) -> dict[PhoneVia, list[Held]]:
    """``calls`` at a time on each carrier, ``at_once`` carriers at a time."""
    free = asyncio.Semaphore(at_once)

    async def one(target: PhoneTarget) -> list[Held]:
        async with free:
            return await _carrier(target, said, count, calls, seed, ledger)

    said, setup = await clips(), PhoneSetup()
    options = ["--counting", "--tool-ms", str(TOOL_MS), "--ttft-ms", "100", "--token-ms", "5", "--tts-ms", "40"]
    async with gateway(None, module="benchmarks.server", options=options, settings=setup.environment()) as running:
        assert running.data_dir is not None, "its own account is read from its Redis"
        async with book(running.data_dir) as ledger, asyncio.TaskGroup() as group:
            tasks = {via: group.create_task(one(setup.target(via, running.url, network_ms=network_ms))) for via in vias}
    return {via: task.result() for via, task in tasks.items()}


async def _carrier(
    target: PhoneTarget, said: Sequence[Clip], count: int, calls: int, seed: int, ledger: Book
) -> list[Held]:
    done: list[Held] = []
    chance = random.Random(f"{seed}-{target.via}")

    async def one_after_the_other() -> None:
        while (left := count - _undisturbed(done)) > 0 and _worth_it(done):
            held = await hold(line(target), said, min(_PER_CALL, left), chance, ledger)
            done.append(held)
            if not held.barge_ins:
                await asyncio.sleep(_PATIENCE_S)

    await asyncio.gather(*(one_after_the_other() for _ in range(calls)))
    return done


def _undisturbed(done: Sequence[Held]) -> int:
    return sum(not each.disturbed for held in done for each in held.barge_ins)


def _worth_it(done: Sequence[Held]) -> bool:
    """Many calls in a row that gave nothing: this carrier does not work."""
    return len(done) < _REFUSALS or any(held.barge_ins for held in done[-_REFUSALS:])


def main(
    via: Annotated[str, typer.Option(help="all, or carriers separated by commas.")] = "all",
    count: Annotated[int, typer.Option(min=1, help="Barge-ins on each carrier.")] = 100,
    calls: Annotated[int, typer.Option(min=1, help="Calls at the same time on each carrier.")] = 2,
    at_once: Annotated[int, typer.Option(min=1, help="Carriers at the same time.")] = 3,
    network_ms: Annotated[float, typer.Option(min=0, help="From carrier to gateway, and the same back.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Of the random moments and clips.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure barge-ins on the phone."""
    machine = this_machine()
    vias = chosen(via)
    held = uvloop.run(measure(vias, count, calls, at_once, network_ms, seed))
    summaries = [summarise(name, found) for name, found in held.items()]
    console = Console()
    console.print(_table(summaries))
    failures = Counter(each.failure for found in held.values() for each in found if each.failure)
    for failure, times in failures.items():
        console.print(f"{times} times {failure}", highlight=False)
    settings = {
        "count": count,
        "calls": calls,
        "at_once": at_once,
        "network_ms": network_ms,
        "seed": seed,
        "tool_ms": TOOL_MS,
    }
    barge_ins = [each for found in held.values() for one in found for each in one.barge_ins]
    write_results(json_file, machine, settings=settings, summary=summaries, barge_ins=barge_ins)


def _table(summaries: Sequence[PhoneSummary]) -> Table:
    table = Table(title="Barge-ins on the phone", title_justify="left")
    names = (
        "carrier",
        "n",
        "disturbed",
        "taken",
        "stop ms",
        "p95",
        "worst",
        "early",
        "in tool",
        "exact",
        "±1",
        "worst off",
        "dropped",
    )
    for name in names:
        table.add_column(name, justify="left" if name == "carrier" else "right")
    for each in summaries:
        stop = each.stop_ms
        numbers = ("–", "–", "–") if stop is None else tuple(f"{x:.0f}" for x in (stop.median, stop.p95, stop.worst))
        late = "–" if each.own_lateness_ms is None else f"{each.own_lateness_ms.p99:.0f}"
        counts = (each.early, each.in_tool, each.exact, f"{each.within_one} of {each.compared}", each.worst_words_off)
        table.add_row(
            each.via,
            str(each.barge_ins),
            str(each.disturbed),
            str(each.taken),
            *numbers,
            *map(str, counts),
            str(each.dropped),
            late,
        )
    return table


if __name__ == "__main__":
    typer.run(main)
