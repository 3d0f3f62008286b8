"""The replay gives the engine what a call would, and tells two ways apart."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.stt import Clip
from benchmarks.stt_growing import Watched, changed, compare, replay, summarise
from pipeline.ports import Transcription
from voicegate.kernel.audio import Samples

CLIP = Clip("a", "one two", np.full(int(1.7 * 16_000), 900, np.int16))


class Recording:
    """Remembers the calls; answers with the length of the audio, and of the draft."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str | None, bool]] = []

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        seconds = samples.size / 16_000
        self.calls.append((seconds, draft.text if draft else None, interim))
        await asyncio.sleep(0.01)
        return Transcription(f"{seconds:.1f}", -0.1, 0.9)


async def test_a_clip_grows_by_interims_up_to_its_mark() -> None:
    engine = Recording()
    got = await replay(CLIP, Watched(engine, drafts=True))
    assert engine.calls == [(0.5, None, True), (1.0, "0.5", True), (1.5, "1.0", True), (1.7, "1.5", False)]
    assert (got.text, got.duration_s) == ("1.7", 1.7)
    assert 9 < got.text_ms < 500


async def test_without_drafts_none_are_given() -> None:
    engine = Recording()
    await replay(CLIP, Watched(engine, drafts=False))
    assert [draft for _, draft, _ in engine.calls] == [None] * 4


async def test_both_ways_see_every_clip_and_differences_are_named() -> None:
    ways = {"with": Watched(Recording(), drafts=True), "without": Watched(Recording(), drafts=False)}
    results = await compare([CLIP, replace(CLIP, name="b")], ways, rounds=2)
    assert [[row.clip for row in rows] for rows in results.values()] == [["a", "b"]] * 2
    assert changed(*results.values()) == []
    other = [results["with"][0], replace(results["with"][1], confidence=-0.1001)]
    assert changed(other, results["without"]) == ["b"]


async def test_the_summary_is_of_all_clips() -> None:
    one = await replay(CLIP, Watched(Recording(), drafts=True))
    rows = [replace(one, text_ms=ms, text_cpu_ms=ms / 2, cpu_ms=170.0) for ms in (10.0, 20.0, 30.0)]
    summary = summarise("with", rows)
    assert (summary.median_ms, summary.median_cpu_ms) == (20.0, 10.0)
    assert summary.p90_ms == pytest.approx(28.0)
    assert summary.cpu_per_audio_second == pytest.approx(0.1)
