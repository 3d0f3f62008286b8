"""What a gateway does when three times as many people call as it can take.

``python -m benchmarks.overload [--capacity N] [--times 3] [--seconds 120] [--json FILE]``

:mod:`benchmarks.server` with simulated stages and real voice activity has one core for itself; the people
(:mod:`benchmarks.overload_client`), half of them by WebSocket, half on the phone (Twilio's webhook and media stream),
and Redis have the others. No number of calls is configured: the gateway learns what it can take.

``capacity``
    Calls when the gateway was too late to take new ones, or took none for some seconds, while people kept coming; or
    ``--capacity``.
``before``
    Rather more than half of the capacity: with more, the gateway sheds of itself.
``overload``
    ``--times`` the capacity want to talk for ``--seconds``; who is refused tries again after some five seconds.
``after``
    As many again. Normal is when nothing is shed and nobody was refused any more.
``refusal``
    From the beginning of the connection to the whole answer (503, or the webhook's busy tone).
``latency``
    Voice to voice of questions that were asked in the stretch: from the frame with the last voiced sample to the first
    audio of the answer, at the caller.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import psutil
import typer
import uvloop
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import QUESTIONS
from benchmarks.density import LATE_MS, asked, pin
from benchmarks.density_client import save_questions
from benchmarks.gateway_process import gateway
from benchmarks.machine import ROOT, this_machine
from benchmarks.overhead import Plan
from benchmarks.results import write_results
from benchmarks.simulated import Latencies
from benchmarks.statistics import Spread, spread
from gateway.load import LoadLevel

REFUSED_WITHIN_MS, WORSE, NORMAL_WITHIN_S = 200.0, 0.10, 10.0
CLIENTS = 2
_LATE_MS = "15"
"""The gateway's own choice."""
_USUAL = 0.55
"""Of the capacity, before and after."""
_MORE_A_SECOND = 8
_WARM_S, _SETTLE_S = 8.0, 12.0
_NO_MORE_S = 8.0
"""Longer than those who were refused wait."""
_LOOK_S = 0.5
_MOST = 4000
_AFTER_S = 30.0
_ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The gateway's own account at a moment."""

    at: float
    level: int
    connections: int
    busy: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """What callers had in one part of the run."""

    name: str
    latency_ms: Spread | None
    by_kind_ms: Mapping[str, Spread | None]
    questions: int
    unanswered: int
    admitted: int
    refused: int
    refusal_ms: Spread | None
    connections: int
    """Most at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole run."""

    capacity: int
    stretches: list[Stretch]
    worse: float | None
    """Of the latency's 95th percentile, as a share of that before."""
    normal_after_s: float | None
    """None: not within the time that was watched."""
    levels: list[tuple[float, int]]
    """Seconds from the beginning of the overload, and the level that was reached then."""
    notices: dict[str, int]
    """How often a caller by WebSocket was told so."""
    failures: list[str]
    send_lateness_ms: Spread | None

    def misses(self) -> list[str]:
        """Which goals it missed, in words."""
        overload = next(each for each in self.stretches if each.name == "overload")
        found = []
        if overload.refusal_ms is None or overload.refusal_ms.worst > REFUSED_WITHIN_MS:
            found.append(f"refusals take more than {REFUSED_WITHIN_MS:.0f} ms")
        if self.worse is None or self.worse > WORSE:
            found.append(f"latency is more than {WORSE:.0%} worse")
        if self.normal_after_s is None or self.normal_after_s > NORMAL_WITHIN_S:
            found.append(f"not normal within {NORMAL_WITHIN_S:.0f} s")
        if self.failures:
            found.append(f"{len(self.failures)} calls broke")
        return found


def stretch(name: str, begin: float, end: float, books: Sequence[dict[str, Any]], seen: Iterable[Seen]) -> Stretch:
    """What happened between two moments."""

    def within(what: str) -> list[dict[str, Any]]:
        key = "sent" if what == "turns" else "at"
        return [each for book in books for each in book[what] if begin <= each[key] < end]

    turns, refusals = within("turns"), within("refusals")
    answered = [turn for turn in turns if turn["answered"] >= 0]

    def latency(kind: str = "") -> Spread | None:
        return spread([(turn["answered"] - turn["sent"]) * 1000 for turn in answered if kind in ("", turn["kind"])])

    return Stretch(
        name,
        latency(),
        {kind: latency(kind) for kind in ("websocket", "twilio")},
        len(turns),
        sum(turn["answered"] < 0 and turn["sent"] < end - _ANSWER_S for turn in turns),
        len(within("admitted")),
        len(refusals),
        spread([each["ms"] for each in refusals]),
        max((each.connections for each in seen if begin <= each.at < end), default=0),
    )


def normal_after(end: float, seen: Iterable[Seen], refusals: Iterable[float]) -> float | None:
    """Seconds from the end of the overload until nothing was shed and nobody refused any more."""
    back = max((at for at in refusals if at >= end), default=end)
    after = [each for each in seen if each.at >= end]
    shed = [each.at for each in after if each.level]
    if not after or after[-1].level:
        return None
    calm = next((each.at for each in after if each.at > max([back, *shed])), None)
    return None if calm is None else round(calm - end, 1)


def evaluate(
    capacity: int, times: Mapping[str, tuple[float, float]], books: Sequence[dict[str, Any]], seen: Sequence[Seen]
) -> Outcome:
    """The figures; ``times`` are begin and end of ``before``, ``overload`` and ``after``."""
    stretches = [stretch(name, *span, books, seen) for name, span in times.items()]
    found = {each.name: each for each in stretches}
    before, during = found["before"].latency_ms, found["overload"].latency_ms
    begin, end = times["overload"]
    steps: list[tuple[float, int]] = []
    for each in seen:
        if each.at >= begin and (not steps or steps[-1][1] != each.level):
            steps.append((round(each.at - begin, 1), each.level))
    notices: dict[str, int] = {}
    for book in books:
        for at, words in book["notices"]:
            if at >= begin:
                notices[words] = notices.get(words, 0) + 1
    return Outcome(
        capacity,
        stretches,
        round(during.p95 / before.p95 - 1, 3) if before and during else None,
        normal_after(end, seen, [each["at"] for book in books for each in book["refusals"]]),
        steps,
        notices,
        [failure for book in books for failure in book["failures"]],
        spread([late for book in books for late in book["late_ms"]]),
    )


@dataclass(slots=True)
class Watch:
    """Asks the gateway how it is, again and again."""

    url: str
    seen: list[Seen] = field(default_factory=list)

    async def run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                async with http.get(self.url.replace("ws", "http", 1) + "/metrics") as answer:
                    families = text_string_to_metric_families(await answer.text())
                values = {sample.name: sample.value for family in families for sample in family.samples}
                self.seen.append(
                    Seen(
                        time.monotonic(),
                        int(values["voicegate_load_level"]),
                        int(values["voicegate_gateway_connections"]),
                        values.get("voicegate_busy_share", 0.0),
                    )
                )
                await asyncio.sleep(_LOOK_S)

    @property
    def now(self) -> Seen:
        return self.seen[-1] if self.seen else Seen(time.monotonic(), 0, 0, 0.0)


class Crowd:
    """The clients; told how many people there are."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = processes
        self.people = 0

    async def become(self, people: int) -> None:
        self.people = people
        for number, process in enumerate(self._processes):
            assert process.stdin is not None
            process.stdin.write(b"%d\n" % (people // CLIENTS + (number < people % CLIENTS)))
            await process.stdin.drain()

    async def go(self) -> None:
        """Everybody hangs up, and the clients end.

        Raises:
            RuntimeError: one failed.
        """
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        if any([await process.wait() for process in self._processes]):
            raise RuntimeError("a client failed")


@asynccontextmanager
async def crowd(port: int, folder: Path) -> AsyncIterator[tuple[Crowd, list[Path]]]:
    """Clients without anybody yet, and where they will write."""
    speech = folder / "questions.npz"
    save_questions(speech, await asked(QUESTIONS[:1]))
    processes, outs = [], [folder / f"{number}.json" for number in range(CLIENTS)]
    for out in outs:
        command = ["-m", "benchmarks.overload_client", "--port", str(port), "--speech", str(speech), "--out", str(out)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.PIPE, cwd=ROOT
        )
        pin(psutil.Process(process.pid), first=False)
        processes.append(process)
    try:
        yield Crowd(processes), outs
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def learnt(people: Crowd, watch: Watch, progress: Console) -> int:
    """More and more people, until the gateway takes no more. The first calls of a process do not count."""
    await people.become(_MORE_A_SECOND)
    await asyncio.sleep(_WARM_S)
    most, since = 0, time.monotonic()
    while people.people < _MOST:
        held = watch.now.connections
        if held > most + 1:
            most, since = held, time.monotonic()
        if watch.now.level >= LoadLevel.FULL or time.monotonic() - since > _NO_MORE_S:
            break
        await people.become(min(people.people + _MORE_A_SECOND, 2 * held + 2 * _MORE_A_SECOND))
        await asyncio.sleep(1.0)
    progress.print(f"capacity: {watch.now.connections} calls, {watch.now.busy:.0%} busy")
    return watch.now.connections


async def measure(capacity: int, times: float, seconds: float, before_s: float, progress: Console) -> Outcome:
    """The whole run."""
    plan = Plan(Latencies(), 250)
    settings = {"VOICEGATE_MAX_CALLS": str(_MOST), "VOICEGATE_LATE_MS": _LATE_MS}
    with tempfile.TemporaryDirectory(prefix="voicegate-overload-") as name:
        folder = Path(name)
        async with (
            gateway(None, module="benchmarks.server", options=plan.options(), settings=settings) as running,
            crowd(int(running.url.rpartition(":")[2]), folder) as (people, outs),
            asyncio.TaskGroup() as tasks,
        ):
            assert running.pid is not None
            pin(psutil.Process(running.pid), first=True)
            print(f"gateway {running.pid}", file=sys.stderr, flush=True)
            watch = Watch(running.url)
            watching = tasks.create_task(watch.run())
            capacity = capacity or await learnt(people, watch, progress)
            spans = await _stretches(capacity, times, seconds, before_s, people, watch, progress)
            watching.cancel()
            await people.go()
        return evaluate(capacity, spans, [json.loads(out.read_bytes()) for out in outs], watch.seen)


async def _stretches(
    capacity: int, times: float, seconds: float, before_s: float, people: Crowd, watch: Watch, progress: Console
) -> dict[str, tuple[float, float]]:
    usual = max(2, round(capacity * _USUAL))
    await people.become(usual)
    await asyncio.sleep(_SETTLE_S + usual / (2 * 50))
    spans = {}
    for name, wanted, lasts_s in (
        ("before", usual, before_s), ("overload", round(capacity * times), seconds), ("after", usual, _AFTER_S)
    ):  # fmt: skip
        await people.become(wanted)
        begin = time.monotonic()
        progress.print(f"{name}: {wanted} people for {lasts_s:g} s")
        while (now := time.monotonic()) < begin + lasts_s:
            await asyncio.sleep(min(10.0, begin + lasts_s - now))
            each = watch.now
            progress.print(f"  level {each.level}, {each.connections} connections, {each.busy:.0%} busy")
        spans[name] = (begin, time.monotonic())
    return spans


def show(console: Console, outcome: Outcome) -> None:
    """As tables."""
    table = Table(title=f"Capacity {outcome.capacity} calls on one core", title_justify="left")
    for column in (
        "",
        "calls",
        "admitted",
        "refused",
        "refusal ms",
        "voice to voice ms",
        "websocket",
        "twilio",
        "unanswered",
    ):
        table.add_column(column, justify="left" if not column else "right")
    for each in outcome.stretches:
        refusal, kinds = each.refusal_ms, each.by_kind_ms
        table.add_row(
            each.name, str(each.connections), str(each.admitted), str(each.refused),
            f"p95 {refusal.p95:.0f}, max {refusal.worst:.0f}" if refusal else "",
            f"median {each.latency_ms.median:.0f}, p95 {each.latency_ms.p95:.0f}" if each.latency_ms else "never",
            *(f"p95 {kind.p95:.0f}" if kind else "never" for kind in (kinds["websocket"], kinds["twilio"])),
            f"{each.unanswered} of {each.questions}",
        )  # fmt: skip
    console.print(table)
    worse = "unknown" if outcome.worse is None else f"{outcome.worse:+.1%}"
    normal = "never" if outcome.normal_after_s is None else f"{outcome.normal_after_s:.1f} s"
    console.print(f"voice to voice p95 in overload against before: {worse}; normal again after {normal}")
    console.print("levels: " + ", ".join(f"{level} at {at:g} s" for at, level in outcome.levels))
    console.print(f"notices: {outcome.notices}")
    console.print(f"failures: {len(outcome.failures)} {outcome.failures[:3]}")
    late = outcome.send_lateness_ms
    if late is not None and late.p99 > LATE_MS:
        console.print(f"[red]The callers are a bottleneck:[/] their own frames left {late.p99:.1f} ms late (p99).")
    console.print("missed: " + ("; ".join(outcome.misses()) or "nothing"))


def main(
    capacity: Annotated[int, typer.Option(min=0, help="Calls that the gateway can take; 0: learn it.")] = 0,
    times: Annotated[float, typer.Option(min=1, help="Of the capacity, in overload.")] = 3.0,
    seconds: Annotated[float, typer.Option(min=10, help="Of overload.")] = 120.0,
    before: Annotated[float, typer.Option(min=5, help="Seconds measured before it.")] = 40.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Overload a gateway; exit code 1 when there is nothing to judge by: nobody was refused, or nobody answered."""
    machine, console = this_machine(), Console(width=150)
    outcome = uvloop.run(measure(capacity, times, seconds, before, console))
    show(console, outcome)
    settings = {"capacity": capacity, "times": times, "seconds": seconds, "before": before}
    write_results(json_file, machine, settings=settings, outcome=outcome, misses=outcome.misses())
    if outcome.worse is None or not outcome.stretches[1].refused:
        console.print("[red]nothing to judge by[/]")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
