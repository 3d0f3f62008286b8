"""What every engine that turns a piece of speech into text must keep."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.faster_whisper import FasterWhisperConfig, FasterWhisperTranscriber
from pipeline.adapters.moonshine import MoonshineTranscriber
from pipeline.adapters.openai_transcription import OpenAITranscriber, OpenAITranscriptionConfig
from pipeline.ports import EngineBusy, SegmentTranscriber, Transcription
from tests.vendors.openai_audio import OpenAIAudioServer
from tests.vendors.tiny_whisper import write_tiny_whisper
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ProviderError

Close = Callable[[], Awaitable[None]]


@pytest.fixture
def threads() -> set[threading.Thread]:
    """Those of other tests, which keep an engine."""
    return set(threading.enumerate())


@pytest.fixture(params=["moonshine", "faster-whisper", "openai"])
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path, threads: set[threading.Thread]
) -> AsyncIterator[tuple[SegmentTranscriber, Close]]:
    """An open engine, and what closes it."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "moonshine":
                moonshine = await stack.enter_async_context(MoonshineTranscriber())
                yield moonshine, moonshine.aclose
            case "faster-whisper":
                write_tiny_whisper(tmp_path)
                whisper = FasterWhisperTranscriber(FasterWhisperConfig(str(tmp_path), no_speech_threshold=1.0))
                await stack.enter_async_context(whisper)
                yield whisper, whisper.aclose
            case "openai":
                vendor = await stack.enter_async_context(OpenAIAudioServer())
                config = OpenAITranscriptionConfig(api_key="k", base_url=vendor.base_url)
                remote = await stack.enter_async_context(OpenAITranscriber(config))
                yield remote, remote.aclose


@pytest.fixture
def engine(opened: tuple[SegmentTranscriber, Close]) -> SegmentTranscriber:
    return opened[0]


def noise(seconds: float) -> Samples:
    return (np.random.default_rng(3).normal(size=int(seconds * 16000)) * 2000).astype(np.int16)


async def test_the_answer_has_the_ports_shape(engine: SegmentTranscriber) -> None:
    got = await engine.transcribe(noise(1.0))
    assert isinstance(got, Transcription)
    assert got.confidence is None or got.confidence <= 0
    assert got.end_probability is None or 0 <= got.end_probability <= 1


@pytest.mark.parametrize("seconds", [0.02, 0.1, 15.0])
async def test_takes_the_shortest_and_the_longest_segment(engine: SegmentTranscriber, seconds: float) -> None:
    assert isinstance((await engine.transcribe(noise(seconds))).text, str)


async def test_leaves_the_samples_as_they_are(engine: SegmentTranscriber) -> None:
    samples = noise(0.5)
    before = samples.copy()
    samples.flags.writeable = False
    await engine.transcribe(samples)
    assert np.array_equal(samples, before)


async def test_a_draft_changes_nothing_in_the_answer(engine: SegmentTranscriber) -> None:
    segments = [noise(1.5 + i) for i in range(2)]
    short = await engine.transcribe(segments[0])
    for segment in segments:
        alone = await engine.transcribe(segment)
        for draft in (short, alone, replace(alone, tokens=alone.tokens[::-1])):
            assert await engine.transcribe(segment, draft=draft) == alone


async def test_interims_are_answered_as_well_or_refused(engine: SegmentTranscriber) -> None:
    segments = [noise(0.4 + 0.3 * i) for i in range(6)]
    alone = [await engine.transcribe(segment) for segment in segments]
    assert await engine.transcribe(segments[0], interim=True) == alone[0], "nobody else needs the engine"
    calls = (engine.transcribe(segment, interim=i % 2 == 1) for i, segment in enumerate(segments))
    together = await asyncio.gather(*calls, return_exceptions=True)
    for i, got in enumerate(together):
        assert got == alone[i] or (i % 2 == 1 and isinstance(got, EngineBusy))


async def test_answers_concurrent_calls_each_with_its_own(engine: SegmentTranscriber) -> None:
    segments = [noise(0.4 + 0.3 * i) for i in range(4)]
    alone = [await engine.transcribe(segment) for segment in segments]
    together = await asyncio.gather(*(engine.transcribe(segment) for segment in segments))
    assert [t.text for t in together] == [t.text for t in alone]


async def test_the_event_loop_stays_free(engine: SegmentTranscriber) -> None:
    """While a long segment is decoded, the loop keeps turning."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    async with asyncio.TaskGroup() as group:
        turning = group.create_task(turn())
        await engine.transcribe(noise(10.0))
        turning.cancel()
    assert turns >= 3


async def test_a_cancelled_call_ends_and_the_engine_goes_on(engine: SegmentTranscriber) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(engine.transcribe(noise(12.0)))
        await asyncio.sleep(0)
        call.cancel()
    assert call.cancelled()
    assert isinstance(await engine.transcribe(noise(0.3)), Transcription)


async def test_after_close_no_thread_is_left_and_calls_fail_with_the_ports_error(
    opened: tuple[SegmentTranscriber, Close], threads: set[threading.Thread]
) -> None:
    engine, close = opened
    await engine.transcribe(noise(0.3))
    await close()
    await close()
    names = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not [name for name in names if name.startswith(("moonshine", "faster-whisper"))]
    with pytest.raises(ProviderError):
        await engine.transcribe(noise(0.3))
