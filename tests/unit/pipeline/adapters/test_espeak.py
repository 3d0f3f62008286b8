"""espeak-ng: workers that die, phrases that are dropped."""

import asyncio

import numpy as np
import psutil
import pytest

from pipeline.adapters.espeak import SENTENCE_GAP_S, EspeakConfig, EspeakSpeech
from voicegate.kernel.errors import ProviderError

LONG = "The flat has a kitchen and a bath and a balcony over the park. " * 4


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if any("espeak_worker" in part for part in child.cmdline())]


async def seconds(tts: EspeakSpeech, phrase: str) -> float:
    return sum([len(chunk.samples) async for chunk in tts.stream(phrase)]) / tts.sample_rate_hz


async def test_a_killed_worker_fails_its_phrase_and_is_replaced() -> None:
    tts = EspeakSpeech(EspeakConfig(workers=1))
    try:
        stream = tts.stream(LONG)
        await anext(stream)
        (worker,) = workers()
        worker.suspend()  # so that it cannot finish before it is killed
        worker.kill()
        with pytest.raises(ProviderError) as caught:
            [chunk async for chunk in stream]
        assert caught.value.retryable
        assert await seconds(tts, "Hello again.") > 0.5
        assert [process.pid for process in workers()] != [worker.pid]
    finally:
        await tts.aclose()
    assert workers() == []


async def test_a_dropped_phrase_leaves_the_others_alone() -> None:
    tts = EspeakSpeech(EspeakConfig(workers=1))
    try:
        alone = await seconds(tts, "Good morning to you.")
        dropped = tts.stream(LONG)
        await anext(dropped)
        waiting = asyncio.gather(*(seconds(tts, "Good morning to you.") for _ in range(3)))
        await asyncio.sleep(0)
        await dropped.aclose()
        assert all(abs(length - alone) < 0.02 for length in await waiting)
        assert len(workers()) == 1
    finally:
        await tts.aclose()


async def test_an_unknown_voice_fails_the_phrase_only() -> None:
    tts = EspeakSpeech(EspeakConfig(voice="klingon-x"))
    try:
        with pytest.raises(ProviderError, match="no such voice"):
            await seconds(tts, "Hello.")
    finally:
        await tts.aclose()


async def test_a_sentence_ends_with_a_gap() -> None:
    tts = EspeakSpeech()
    try:
        samples = np.concatenate([chunk.samples async for chunk in tts.stream("Good morning.")])
        gap = round(SENTENCE_GAP_S * tts.sample_rate_hz)
        assert not samples[-gap:].any()
        assert samples[-gap - 2000 : -gap].any()
    finally:
        await tts.aclose()
