"""How well and how fast the embedded speech to text is: word error rate, time to text, real-time factor.

    python -m benchmarks.stt FOLDER [--json] [--end]

``FOLDER`` holds WAV clips (16-bit) and ``index.csv`` with the columns ``file``, ``kind`` (``speech`` or anything else)
and ``reference``. Every clip is measured as it is, at 16 kHz, and through the telephone: 8 kHz μ-law and back. Words
are compared after Whisper's English normaliser; runs of digits are compared digit by digit, because "33 4" and "334"
are the same words.
"""

import argparse
import asyncio
import csv
import json
import re
import statistics
import time
import wave
from dataclasses import asdict, dataclass
from pathlib import Path

import jiwer
import numpy as np
import numpy.typing as npt
from whisper_normalizer.english import EnglishTextNormalizer

from audiocodecs.g711 import ulaw_decode, ulaw_encode
from audiocodecs.resample import resample_whole
from pipeline.adapters.moonshine import MoonshineTranscriber
from pipeline.ports import SegmentTranscriber
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

BANDS = ("16 kHz", "μ-law")
_CUTS = (0.25, 0.4, 0.55, 0.7, 0.82)
_english = EnglishTextNormalizer()


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    reference: str
    """Empty where nobody speaks."""
    samples: Samples


@dataclass(frozen=True, slots=True)
class Row:
    """One clip in one band."""

    clip: str
    band: str
    duration_s: float
    text_ms: float
    """From the call to the text."""
    cpu_ms: float
    """Processor time of it, which a busy machine does not stretch as much."""
    wer: float | None
    """None for a clip without speech."""
    text: str
    confidence: float | None
    end_probability: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    band: str
    wer: float
    median_ms: float
    median_cpu_ms: float
    p90_ms: float
    real_time_factor: float


def read_clips(folder: Path) -> list[Clip]:
    with (folder / "index.csv").open(newline="") as index:
        rows = list(csv.DictReader(index))
    return [
        Clip(row["file"], row["reference"] if row["kind"] == "speech" else "", read_wav(folder / row["file"]))
        for row in rows
    ]


def read_wav(path: Path) -> Samples:
    with wave.open(str(path)) as audio:
        samples = np.frombuffer(audio.readframes(audio.getnframes()), np.int16)
        rate_hz = audio.getframerate()
    return resample_whole(samples, rate_hz, PIPELINE_RATE_HZ)


def through_telephone(samples: Samples) -> Samples:
    """8 kHz, G.711 μ-law, and back to 16 kHz."""
    narrow = ulaw_decode(ulaw_encode(resample_whole(samples, PIPELINE_RATE_HZ, 8000)))
    return resample_whole(narrow, 8000, PIPELINE_RATE_HZ)


def words(text: str) -> str:
    return " ".join(re.sub(r"(\d)", r" \1 ", _english(text)).split())


async def measure(engine: SegmentTranscriber, clips: list[Clip], *, longest_s: float = 15.0) -> list[Row]:
    """Every clip in both bands, one after the other; clips are cut to ``longest_s``."""
    rows = []
    for band in BANDS:
        for clip in clips:
            samples = clip.samples[: int(longest_s * PIPELINE_RATE_HZ)]
            samples = through_telephone(samples) if band == BANDS[1] else samples
            began, cpu_began = time.perf_counter(), time.process_time()
            got = await engine.transcribe(samples)
            text_ms = (time.perf_counter() - began) * 1000
            cpu_ms = (time.process_time() - cpu_began) * 1000
            wer = jiwer.wer(words(clip.reference), words(got.text)) if clip.reference else None
            duration_s = samples.size / PIPELINE_RATE_HZ
            rows.append(
                Row(clip.name, band, duration_s, text_ms, cpu_ms, wer, got.text, got.confidence, got.end_probability)
            )
    return rows


def summarise(rows: list[Row], clips: list[Clip]) -> list[Summary]:
    references = {clip.name: clip.reference for clip in clips}
    out = []
    for band in BANDS:
        spoken = [row for row in rows if row.band == band and references[row.clip]]
        times = [row.text_ms for row in spoken]
        out.append(
            Summary(
                band,
                wer=jiwer.wer([words(references[row.clip]) for row in spoken], [words(row.text) for row in spoken]),
                median_ms=statistics.median(times),
                median_cpu_ms=statistics.median(row.cpu_ms for row in spoken),
                p90_ms=float(np.percentile(times, 90)),
                real_time_factor=sum(times) / 1000 / sum(row.duration_s for row in spoken),
            )
        )
    return out


def frame_energy(samples: Samples) -> npt.NDArray[np.float64]:
    blocks = samples[: samples.size // 320 * 320].reshape(-1, 320)
    energy: npt.NDArray[np.float64] = np.square(blocks.astype(np.float64)).mean(axis=1)
    return energy


def cut_in_mid_sentence(samples: Samples) -> list[Samples]:
    """The clip up to the quietest 20 ms near a quarter, two fifths ... of it, as a hesitating speaker would stop."""
    energy = frame_energy(samples)
    voiced = np.flatnonzero(energy > energy.max() / 300)
    cuts = []
    for share in _CUTS:
        near = int(voiced[0] + (voiced[-1] - voiced[0]) * share)
        low = max(0, near - 8)
        cuts.append(samples[: (low + int(energy[low : near + 9].argmin()) + 1) * 320])
    return cuts


async def measure_end(engine: SegmentTranscriber, clips: list[Clip]) -> dict[str, float]:
    """How well the probability of the sentence's end tells whole clips from cut ones, both followed by 240 ms of the
    clip's own quiet: area under the curve, and the share of each above some thresholds."""
    whole: list[float] = []
    cut: list[float] = []
    for clip in clips:
        # A clip whose reference ends with a comma, or that the reader did not finish, is neither.
        if not clip.reference or clip.reference.endswith(","):
            continue
        for band in BANDS:
            samples = through_telephone(clip.samples) if band == BANDS[1] else clip.samples
            whole.append((await engine.transcribe(with_quiet(samples, samples))).end_probability or 0.0)
            parts = [with_quiet(part, samples) for part in cut_in_mid_sentence(samples)]
            cut.extend([(await engine.transcribe(part)).end_probability or 0.0 for part in parts])
    area = float((np.array(whole)[:, None] > np.array(cut)[None]).mean())
    above = {
        f"{kind} above {t}": share_above(v, t) for t in (0.8, 0.9, 0.95) for kind, v in (("whole", whole), ("cut", cut))
    }
    return {"area": area, **above}


def with_quiet(part: Samples, clip: Samples, frames: int = 12) -> Samples:
    """``part`` without its own quiet end, and then the quietest frames of the clip."""
    energy = frame_energy(clip)
    quiet = [clip[at * 320 : (at + 1) * 320] for at in energy.argsort()[:3]]
    loud = np.flatnonzero(frame_energy(part) > energy.max() / 1000)
    end = (int(loud[-1]) + 4) * 320 if loud.size else part.size
    return np.concatenate([part[:end], *(quiet[i % len(quiet)] for i in range(frames))])


def share_above(values: list[float], threshold: float) -> float:
    return float(np.mean(np.array(values) > threshold))


def print_table(rows: list[Row], summaries: list[Summary]) -> None:
    for row in rows:
        wer = "noise" if row.wer is None else f"{row.wer:5.1%}"
        end = f"{row.end_probability:.2f}" if row.end_probability is not None else "  - "
        confidence = f"{row.confidence:6.2f}" if row.confidence is not None else "   -  "
        times = f"{row.duration_s:6.2f} s{row.text_ms:6.0f} ms"
        print(f"{row.band:7}{row.clip:22}{times} {wer:>6}{confidence}  {end}  {row.text}")
    for one in summaries:
        print(
            f"{one.band:7}WER {one.wer:.1%}  text after {one.median_ms:.0f} ms (median), {one.p90_ms:.0f} ms (p90)"
            f"  processor {one.median_cpu_ms:.0f} ms"
            f"  real-time factor {one.real_time_factor:.3f}"
        )


async def run(folder: Path, *, as_json: bool, end: bool) -> None:
    clips = read_clips(folder)
    async with MoonshineTranscriber() as engine:
        rows = await measure(engine, clips)
        ends = await measure_end(engine, clips) if end else None
    summaries = summarise(rows, clips)
    if as_json:
        report = {"clips": [asdict(row) for row in rows], "summary": [asdict(one) for one in summaries], "end": ends}
        print(json.dumps(report, indent=1, ensure_ascii=False))
        return
    print_table(rows, summaries)
    if ends:
        print("end of sentence: " + ", ".join(f"{name} {value:.2f}" for name, value in ends.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedded speech to text.")
    parser.add_argument("folder", type=Path, help="WAV clips and index.csv")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--end", action="store_true", help="measure the end-of-sentence probability too")
    options = parser.parse_args()
    asyncio.run(run(options.folder, as_json=options.json, end=options.end))


if __name__ == "__main__":
    main()
