"""How fast the embedded engines speak, and whether they are understood.

``python -m benchmarks.tts [--engine flite|espeak] [--no-transcribe] [--json FILE]``

Every sentence of a receptionist's day is spoken one after the other. Time to first audio is from the call to the
first chunk; RTF is wall-clock time over the audio's length, alone on the machine. Intelligibility is the word error
rate of the embedded recogniser on that audio against the sentence as written, both through Whisper's English
normaliser: it counts the recogniser's mistakes too, so it is a bound and not a measure of the voice alone.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from benchmarks.machine import this_machine
from benchmarks.results import write_results
from pipeline.adapters.espeak import EspeakSpeech
from pipeline.adapters.flite import FliteConfig, FliteSpeech
from pipeline.ports import TextToSpeech
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

SENTENCES = (
    "Good morning, thank you for calling Harper and Lane, how can I help you?",
    "We have three apartments in that area right now.",
    "The two-bedroom flat on Elm Street is £1,450 per month.",
    "It has a private balcony and a parking space in the garage.",
    "Would you like to book a viewing?",
    "I can offer you Tuesday at 10:30 a.m. or Thursday at 4 p.m.",
    "May I have your full name, please?",
    "Could you spell your last name for me?",
    "The asking price is €450,000, and the owner is open to offers.",
    "The apartment is about 85 m² and was renovated in 2019.",
    "Pets are allowed, but smoking is not.",
    "The deposit is equal to two months of rent.",
    "Let me check the calendar, one moment.",
    "I have booked you in for Friday, the 12th of March.",
    "You will get a confirmation by e-mail at anna.smith@example.com.",
    "Our office is on the corner of King Street and the market square.",
    "If you need to cancel, please call us at 020 7946 0958.",
    "The nearest train station is a ten minute walk away.",
    "I am sorry, that house was sold last week.",
    "Is there anything else I can do for you today?",
    "I will pass you on to my colleague, Dr. Walker.",
    "The building has a lift, and heating is included in the rent.",
)


@dataclass(frozen=True, slots=True)
class Spoken:
    sentence: str
    first_audio_ms: float
    rtf: float
    audio_s: float
    heard: str = ""
    word_errors: int = 0
    words: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    engine: str
    first_audio_median_ms: float
    first_audio_p90_ms: float
    rtf_median: float
    wer: float | None
    sentences: list[Spoken]


class Engine(TextToSpeech, Protocol):
    async def aclose(self) -> None: ...


async def speak(tts: TextToSpeech, sentence: str) -> tuple[Spoken, Samples]:
    """One sentence with its times; int16 mono at the engine's rate."""
    start_s, first_s = time.perf_counter(), 0.0
    pieces: list[Samples] = []
    async for chunk in tts.stream(sentence):
        first_s = first_s or time.perf_counter() - start_s
        pieces.append(chunk.samples)
    wall_s = time.perf_counter() - start_s
    samples = np.concatenate(pieces)
    audio_s = len(samples) / tts.sample_rate_hz
    return Spoken(sentence, first_s * 1000, wall_s / audio_s, audio_s), samples


async def measure(engine: str, tts: Engine, *, transcribe: bool) -> Result:
    """All sentences once, after a first one that is not counted."""
    await speak(tts, SENTENCES[0])
    spoken = [await speak(tts, sentence) for sentence in SENTENCES]
    lines = [line for line, _ in spoken]
    if transcribe:
        lines = await understood([(line, at_pipeline_rate(samples, tts.sample_rate_hz)) for line, samples in spoken])
    first_ms = [line.first_audio_ms for line in lines]
    return Result(
        engine,
        statistics.median(first_ms),
        statistics.quantiles(first_ms, n=10)[-1],
        statistics.median(line.rtf for line in lines),
        sum(line.word_errors for line in lines) / sum(line.words for line in lines) if transcribe else None,
        lines,
    )


async def understood(spoken: list[tuple[Spoken, Samples]]) -> list[Spoken]:
    """The same with what the embedded recogniser made of it."""
    import jiwer
    from whisper_normalizer.english import EnglishTextNormalizer

    from pipeline.adapters.moonshine import MoonshineTranscriber

    normal = EnglishTextNormalizer()
    lines = []
    async with MoonshineTranscriber() as recogniser:
        for line, samples in spoken:
            heard = (await recogniser.transcribe(samples)).text
            counts = jiwer.process_words(normal(line.sentence), normal(heard) or "-")
            errors = counts.substitutions + counts.deletions + counts.insertions
            total = counts.substitutions + counts.deletions + counts.hits
            lines.append(Spoken(line.sentence, line.first_audio_ms, line.rtf, line.audio_s, heard, errors, total))
    return lines


def at_pipeline_rate(samples: Samples, rate_hz: int) -> Samples:
    return samples if rate_hz == PIPELINE_RATE_HZ else soxr.resample(samples, rate_hz, PIPELINE_RATE_HZ)


def report(result: Result) -> str:
    wer = "-" if result.wer is None else f"{result.wer:.1%}"
    rows = [
        f"{result.engine}: first audio {result.first_audio_median_ms:.1f} ms median, "
        f"{result.first_audio_p90_ms:.1f} ms p90; RTF {result.rtf_median:.4f}; WER {wer}"
    ]
    rows += [f"  {s.word_errors}/{s.words}  {s.sentence}\n       {s.heard}" for s in result.sentences if s.word_errors]
    return "\n".join(rows)


async def run(arguments: argparse.Namespace) -> None:
    machine = this_machine()
    engines: dict[str, Engine] = {}
    if arguments.engine in (None, "flite"):
        engines["flite"] = FliteSpeech(FliteConfig(voice=arguments.voice, stretch=arguments.stretch))
    if arguments.engine in (None, "espeak"):
        engines["espeak"] = EspeakSpeech()
    results = []
    for name, tts in engines.items():
        results.append(await measure(name, tts, transcribe=not arguments.no_transcribe))
        await tts.aclose()
        print(report(results[-1]))
    write_results(arguments.json, machine, engines=results)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedded text-to-speech engines.")
    parser.add_argument("--engine", choices=["flite", "espeak"])
    parser.add_argument("--voice", default="rms", help="flite's voice")
    parser.add_argument("--stretch", type=float, default=1.1, help="factor on flite's durations")
    parser.add_argument("--no-transcribe", action="store_true", help="only times")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
