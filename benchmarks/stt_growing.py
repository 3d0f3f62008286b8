"""What drafts are worth: clips replayed as growing speech, with interim texts on the way, with and without drafts.

    python -m benchmarks.stt_growing FOLDER [--band 0|1] [--rounds N] [--json]

``FOLDER`` is that of ``benchmarks.stt``. Every clip goes frame by frame into the same stream that a call has; whenever
the stream decodes an interim, the clip stands still until that is done. At the end of the clip a mark asks for the
text. The two ways take turns clip by clip, so a machine that is busy with other things is as busy for both.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.stt import Clip, read_clips, through_telephone
from pipeline.adapters.moonshine import MoonshineTranscriber
from pipeline.adapters.segmented import SegmentedSpeechToText
from pipeline.ports import SegmentTranscriber, Transcription, TranscriptStream
from voicegate.kernel.audio import Samples

_FRAME_SAMPLES = 320
_TURNS_OF_THE_LOOP = 5
"""So many are between a frame that makes an interim due and the engine's call."""


class Watched:
    """An engine that gives drafts on or keeps them, and tells when it is not working."""

    def __init__(self, engine: SegmentTranscriber, *, drafts: bool) -> None:
        self._engine = engine
        self._drafts = drafts
        self._working = 0
        self._idle = asyncio.Event()

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        self._working += 1
        self._idle.clear()
        try:
            return await self._engine.transcribe(samples, draft=draft if self._drafts else None, interim=interim)
        finally:
            self._working -= 1
            if not self._working:
                self._idle.set()

    async def at_rest(self) -> None:
        """Return when what the last frame or mark set off is done."""
        for _ in range(_TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
        if self._working:
            await self._idle.wait()


@dataclass(frozen=True, slots=True)
class Replayed:
    """One clip, one way."""

    clip: str
    duration_s: float
    text_ms: float
    """From the mark to the text."""
    text_cpu_ms: float
    """Processor time of it."""
    cpu_ms: float
    """Processor time of the whole clip, interims included."""
    text: str
    confidence: float | None
    end_probability: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    way: str
    median_ms: float
    p90_ms: float
    median_cpu_ms: float
    p90_cpu_ms: float
    cpu_per_audio_second: float


async def replay(clip: Clip, engine: Watched) -> Replayed:
    """One clip through a stream of its own."""
    stream = SegmentedSpeechToText(engine, provider="benchmark").open()
    answer: asyncio.Future[Transcription] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(stream, answer))
        cpu_began = time.process_time()
        for at in range(0, clip.samples.size - _FRAME_SAMPLES + 1, _FRAME_SAMPLES):
            stream.push(clip.samples[at : at + _FRAME_SAMPLES])
            await engine.at_rest()
        began, mark_cpu_began = time.perf_counter(), time.process_time()
        stream.mark(1)
        got = await answer
        text_ms, now = (time.perf_counter() - began) * 1000, time.process_time()
        await stream.aclose()
    text_cpu_ms, cpu_ms = (now - mark_cpu_began) * 1000, (now - cpu_began) * 1000
    duration_s = clip.samples.size / 16_000
    return Replayed(clip.name, duration_s, text_ms, text_cpu_ms, cpu_ms, got.text, got.confidence, got.end_probability)


async def _read(stream: TranscriptStream, answer: asyncio.Future[Transcription]) -> None:
    async for hypothesis in stream:
        if hypothesis.mark is not None:
            answer.set_result(hypothesis.transcription)


async def compare(clips: list[Clip], engines: Mapping[str, Watched], rounds: int) -> dict[str, list[Replayed]]:
    """Every clip by every way in turn. Each clip's times are its medians over the rounds."""
    out: dict[str, list[Replayed]] = {way: [] for way in engines}
    for clip in clips:
        takes: dict[str, list[Replayed]] = {way: [] for way in engines}
        for _ in range(rounds):
            for way, engine in engines.items():
                takes[way].append(await replay(clip, engine))
        for way, results in takes.items():
            out[way].append(_middle(results))
    return out


def _middle(takes: list[Replayed]) -> Replayed:
    one = takes[0]
    return Replayed(
        one.clip,
        one.duration_s,
        statistics.median(take.text_ms for take in takes),
        statistics.median(take.text_cpu_ms for take in takes),
        statistics.median(take.cpu_ms for take in takes),
        one.text,
        one.confidence,
        one.end_probability,
    )


def summarise(way: str, results: list[Replayed]) -> Summary:
    times, cpu = [r.text_ms for r in results], [r.text_cpu_ms for r in results]
    return Summary(
        way,
        median_ms=statistics.median(times),
        p90_ms=float(np.percentile(times, 90)),
        median_cpu_ms=statistics.median(cpu),
        p90_cpu_ms=float(np.percentile(cpu, 90)),
        cpu_per_audio_second=sum(r.cpu_ms for r in results) / 1000 / sum(r.duration_s for r in results),
    )


def changed(one: list[Replayed], other: list[Replayed]) -> list[str]:
    """Clips whose answer is not the same in every figure."""
    same = [(r.text, r.confidence, r.end_probability) for r in other]
    return [r.clip for r, answer in zip(one, same, strict=True) if (r.text, r.confidence, r.end_probability) != answer]


async def run(folder: Path, *, band: int, rounds: int, as_json: bool) -> None:
    clips = [clip for clip in read_clips(folder) if clip.reference]
    if band:
        clips = [Clip(clip.name, clip.reference, through_telephone(clip.samples)) for clip in clips]
    async with MoonshineTranscriber() as engine:
        ways = {"without drafts": Watched(engine, drafts=False), "with drafts": Watched(engine, drafts=True)}
        results = await compare(clips, ways, rounds)
    summaries = [summarise(way, rows) for way, rows in results.items()]
    different = changed(*results.values())
    if as_json:
        rows = {way: [asdict(row) for row in rows] for way, rows in results.items()}
        print(
            json.dumps({"summary": [asdict(one) for one in summaries], "changed": different, "clips": rows}, indent=1)
        )
        return
    for plain, drafted in zip(*results.values(), strict=True):
        print(f"{plain.clip:22}{plain.duration_s:6.2f} s {plain.text_ms:6.0f} ms -> {drafted.text_ms:4.0f} ms")
    for one in summaries:
        print(
            f"{one.way:15} text after {one.median_ms:.0f} ms (median), {one.p90_ms:.0f} ms (p90); "
            f"processor {one.median_cpu_ms:.0f} and {one.p90_cpu_ms:.0f} ms; "
            f"{one.cpu_per_audio_second:.3f} processor seconds a second of audio"
        )
    print(f"answers that differ: {', '.join(different) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what drafts are worth to the embedded speech to text.")
    parser.add_argument("folder", type=Path, help="WAV clips and index.csv")
    parser.add_argument("--band", type=int, choices=(0, 1), default=0, help="0: 16 kHz, 1: telephone")
    parser.add_argument("--rounds", type=int, default=1, help="times that every clip is replayed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    asyncio.run(run(options.folder, band=options.band, rounds=options.rounds, as_json=options.json))


if __name__ == "__main__":
    main()
