"""Word error rate of whole calls, and what noise does to them.

``python -m benchmarks.wer [--url ws://… | starts a gateway of its own] [--calls 3] [--json FILE]``

Every recorded clip is said in a call of its own in real time, as pcm16 at 16 kHz and as pcmu at 8 kHz. The hypothesis
is what the gateway committed: the texts of all turns of the clip, joined. Both texts go through the English
normaliser of Whisper (package ``whisper-normalizer``), errors are counted by ``jiwer``. A noise clip is right when it
leads to no turn. Without recorded clips the questions in the embedded voice are said.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jiwer
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.corpus import Clip, questions, recorded
from benchmarks.exchanges import calling
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from voicegate.client.connection import CallTarget
from voicegate.client.formats import Encoding
from voicegate.kernel.events import SpeechStarted, TurnCommitted

ENCODINGS: tuple[Encoding, ...] = ("pcm16", "pcmu")
_normalise = EnglishTextNormalizer()


@dataclass(frozen=True, slots=True)
class Recognised:
    """One clip in one encoding."""

    clip: str
    encoding: str
    reference: str
    hypothesis: str
    turns: int
    speech_starts: int
    """Times the gateway thought that somebody began to speak."""
    errors: int
    words: int
    """Of the reference; 0 for noise."""


@dataclass(frozen=True, slots=True)
class Total:
    encoding: str
    word_error_rate: float | None
    """All errors over all words of the references, in per cent."""
    words: int
    noise_clips: int
    noise_turns: int


def scored(clip: Clip, encoding: str, turns: Sequence[str], speech_starts: int) -> Recognised:
    """Count the errors of what was committed against the clip's reference."""
    hypothesis = " ".join(turns)
    reference_words, heard = _normalise(clip.reference), _normalise(hypothesis)
    errors = len(heard.split())
    if reference_words:
        counts = jiwer.process_words(reference_words, heard)
        errors = counts.substitutions + counts.deletions + counts.insertions
    words = len(reference_words.split())
    return Recognised(clip.name, encoding, clip.reference, hypothesis, len(turns), speech_starts, errors, words)


def total(results: Sequence[Recognised], encoding: str) -> Total:
    """The rate over all clips with words, and what the noise led to."""
    of = [each for each in results if each.encoding == encoding]
    speech, noise = [each for each in of if each.words], [each for each in of if not each.words]
    words = sum(each.words for each in speech)
    rate = round(100 * sum(each.errors for each in speech) / words, 1) if words else None
    return Total(encoding, rate, words, len(noise), sum(each.turns for each in noise))


async def recognise(target: CallTarget, clip: Clip) -> Recognised:
    """Say ``clip`` in a call of its own."""
    async with calling(target) as call:
        utterance = await call.speak(clip.at(call.rate_hz))
        await call.reply_over(utterance)
        await call.hang_up()
        turns = [turn.text for turn in call.record.of(TurnCommitted) if turn.source == "speech"]
        return scored(clip, target.encoding, turns, len(call.record.of(SpeechStarted)))


async def measure(url: str | None, calls: int) -> list[Recognised]:
    """All clips in all encodings, ``calls`` at a time."""
    clips = recorded("speech") + recorded("noise") or await questions()
    lines = asyncio.Semaphore(calls)

    async def one(target: CallTarget, clip: Clip) -> Recognised:
        async with lines:
            return await recognise(target, clip)

    async with gateway(url) as running, asyncio.TaskGroup() as group:
        targets = [CallTarget("", url=running.url, encoding=each, greeting=False) for each in ENCODINGS]
        tasks = [group.create_task(one(target, clip)) for target in targets for clip in clips]
    return [task.result() for task in tasks]


def main(
    url: Annotated[str, typer.Option(help="A running gateway; one is started if empty.")] = "",
    calls: Annotated[int, typer.Option(min=1, help="Calls held at the same time.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure the word error rate of calls."""
    machine = this_machine()
    results = asyncio.run(measure(url or None, calls))
    totals = [total(results, encoding) for encoding in ENCODINGS]
    console = Console()
    console.print(_table(results))
    for each in totals:
        console.print(
            f"{each.encoding}: {each.word_error_rate} % of {each.words} words wrong; "
            f"{each.noise_turns} turns from {each.noise_clips} noise clips"
        )
    write_results(json_file, machine, settings={"calls": calls, "url": url or "own"}, totals=totals, clips=results)


def _table(results: Sequence[Recognised]) -> Table:
    table = Table(title="What was committed, clip by clip", title_justify="left")
    for name in ("clip", "encoding", "errors", "turns", "heard as"):
        table.add_column(name)
    for each in results:
        errors = f"{each.errors} of {each.words}" if each.words else "noise"
        table.add_row(Text(each.clip), each.encoding, errors, str(each.turns), Text(each.hypothesis or "–"))
    return table


if __name__ == "__main__":
    typer.run(main)
