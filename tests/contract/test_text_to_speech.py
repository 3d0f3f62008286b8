"""What every engine and vendor of speech must do, whatever it is."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pytest

from pipeline.adapters import espeak, flite
from pipeline.adapters.elevenlabs import ElevenLabsConfig
from pipeline.adapters.elevenlabs_http import ElevenLabsHttpSpeech
from pipeline.adapters.elevenlabs_ws import ElevenLabsSocketSpeech
from pipeline.adapters.espeak import EspeakSpeech
from pipeline.adapters.flite import FliteSpeech
from pipeline.adapters.openai_speech import OpenAISpeech, OpenAISpeechConfig
from pipeline.ports import TextToSpeech, WordTime
from tests.vendors.elevenlabs import ElevenLabsServer
from tests.vendors.openai_speech import OpenAISpeechServer
from tests.vendors.speech import Trouble
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ProviderError, ProviderRefused, ProviderTimeout

PHRASE = "Good morning, the flat on Elm Street costs £1,200 a month."
LONG = "I have booked a viewing of the flat for Tuesday at half past ten, and Maria will meet you at the door. " * 3


@dataclass
class Heard:
    samples: Samples
    words: list[WordTime]
    chunks: int


async def listen(tts: TextToSpeech, phrase: str) -> Heard:
    pieces: list[Samples] = []
    words: list[WordTime] = []
    async for chunk in tts.stream(phrase):
        assert chunk.samples.dtype == np.int16
        assert chunk.samples.ndim == 1
        assert pieces or len(chunk.samples), "the first chunk is empty"
        pieces.append(chunk.samples)
        words += chunk.words
    return Heard(np.concatenate(pieces) if pieces else np.zeros(0, np.int16), words, len(pieces))


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


Vendor: TypeAlias = ElevenLabsServer | OpenAISpeechServer
Closable: TypeAlias = FliteSpeech | EspeakSpeech | ElevenLabsHttpSpeech | ElevenLabsSocketSpeech | OpenAISpeech


async def _vendor(name: str, stack: AsyncExitStack) -> tuple[Closable, Vendor]:
    if name == "openai":
        server = await stack.enter_async_context(OpenAISpeechServer())
        config = OpenAISpeechConfig(api_key="key", base_url=server.url, first_audio_s=2.0, between_s=1.0)
        return OpenAISpeech(config), server
    labs = await stack.enter_async_context(ElevenLabsServer())
    settings = ElevenLabsConfig(api_key="key", base_url=labs.url, first_audio_s=2.0, between_s=1.0)
    if name == "elevenlabs_ws":
        return ElevenLabsSocketSpeech(settings), labs
    return ElevenLabsHttpSpeech(settings), labs


VENDORS = ("elevenlabs_http", "elevenlabs_ws", "openai")
Pair: TypeAlias = tuple[Closable, Vendor]


@pytest.fixture(params=VENDORS)
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        tts, server = await _vendor(request.param, stack)
        stack.push_async_callback(tts.aclose)
        yield tts, server


@pytest.fixture(params=["flite", "espeak", *VENDORS])
async def tts(request: pytest.FixtureRequest) -> AsyncIterator[Closable]:
    async with AsyncExitStack() as stack:
        made: Closable
        if request.param == "flite":
            if not flite.available():
                pytest.skip("libflite1 is not installed on this machine")
            made = FliteSpeech()
        elif request.param == "espeak":
            assert espeak.available()
            made = EspeakSpeech()
        else:
            made, _ = await _vendor(request.param, stack)
        stack.push_async_callback(made.aclose)
        yield made


async def test_speaks_for_a_plausible_time(tts: Closable) -> None:
    heard = await listen(tts, PHRASE)
    seconds = len(heard.samples) / tts.sample_rate_hz
    assert 2.0 < seconds < 8.0
    assert heard.chunks > 1, "it is not streamed"
    assert np.abs(heard.samples).max() > 2000


async def test_words_cover_the_text_in_order_inside_the_audio(tts: Closable) -> None:
    heard = await listen(tts, PHRASE)
    if tts.provider == "openai":
        assert heard.words == []
        return
    assert [word.text for word in heard.words] == PHRASE.split()
    edges = [edge for word in heard.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[0] < 0.1
    assert len(heard.samples) / tts.sample_rate_hz - 0.5 < edges[-1] <= len(heard.samples) / tts.sample_rate_hz + 0.01


async def test_a_long_phrase(tts: Closable) -> None:
    heard = await listen(tts, LONG)
    assert len(heard.samples) / tts.sample_rate_hz > 12.0


@pytest.mark.parametrize("phrase", ["", "...", "— …", "😀", "  \n"])
async def test_nothing_to_say_is_no_error(tts: Closable, phrase: str) -> None:
    heard = await listen(tts, phrase)
    assert not heard.samples.any()


@pytest.mark.parametrize("phrase", ["naïve café Ω", "a\x00b", "<speak>&amp;</speak>", "%s %n", "你好 hello", "x" * 300])
async def test_odd_text_does_no_harm(tts: Closable, phrase: str) -> None:
    await listen(tts, phrase)
    assert len((await listen(tts, "Still here.")).samples)


async def test_eight_at_once_speak_each_their_own(tts: Closable) -> None:
    phrases = [
        f"This is call number {name}, good morning to you." for name in ["one", "two", "three", "four", "five", "six"]
    ]
    alone = [await listen(tts, phrase) for phrase in phrases]
    together = await asyncio.gather(*(listen(tts, phrase) for phrase in [*phrases, *phrases[:2]]))
    for one, other in zip([*alone, *alone[:2]], together, strict=True):
        assert [word.text for word in other.words] == [word.text for word in one.words]
        assert abs(len(one.samples) - len(other.samples)) < tts.sample_rate_hz // 50


async def test_an_early_close_stops_and_leaves_nothing(tts: Closable) -> None:
    await asyncio.gather(*(listen(tts, PHRASE) for _ in range(8)))  # everything that is kept is there now
    await eventually(lambda: len(asyncio.all_tasks()) <= 12)
    threads = threading.active_count()
    for _ in range(10):
        stream = tts.stream(LONG)
        first = await anext(stream)
        assert len(first.samples)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert threading.active_count() <= threads
    await eventually(lambda: len(asyncio.all_tasks()) <= 12)
    assert [word.text for word in (await listen(tts, PHRASE)).words] in ([], PHRASE.split())


async def test_cancellation_passes_through(tts: Closable) -> None:
    async def speak() -> None:
        async for _ in tts.stream(LONG):
            started.set()

    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(speak())
        await started.wait()
        task.cancel()
    assert task.cancelled()
    assert len((await listen(tts, PHRASE)).samples)


# --- vendors: what the wire may do ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_refused_for_good(vendor: Pair, status: int) -> None:
    tts, server = vendor
    server.trouble = Trouble(status=status)
    with pytest.raises(ProviderRefused) as caught:
        await listen(tts, PHRASE)
    assert not caught.value.retryable
    assert str(status) in str(caught.value)


async def test_a_wrong_key_is_refused(vendor: Pair) -> None:
    tts, server = vendor
    server.api_key = "another"
    with pytest.raises(ProviderRefused):
        await listen(tts, PHRASE)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_busy_may_be_tried_again(vendor: Pair, status: int) -> None:
    tts, server = vendor
    server.trouble = Trouble(status=status)
    with pytest.raises(ProviderError) as caught:
        await listen(tts, PHRASE)
    assert caught.value.retryable
    server.trouble = Trouble()
    assert len((await listen(tts, PHRASE)).samples)


async def test_late_first_audio_is_a_timeout(vendor: Pair) -> None:
    tts, server = vendor
    server.trouble = Trouble(first_s=30.0)
    with pytest.raises(ProviderTimeout):
        await listen(tts, PHRASE)


async def test_a_stall_is_a_timeout(vendor: Pair) -> None:
    tts, server = vendor
    server.trouble = Trouble(stall_after=3)
    stream = tts.stream(PHRASE)
    assert len((await anext(stream)).samples)
    with pytest.raises(ProviderTimeout):
        [chunk async for chunk in stream]


async def test_a_cut_is_retryable(vendor: Pair) -> None:
    tts, server = vendor
    server.trouble = Trouble(cut_after_bytes=20_000)
    with pytest.raises(ProviderError) as caught:
        await listen(tts, PHRASE)
    assert caught.value.retryable
    assert caught.value.__cause__ is not None or tts.provider == "elevenlabs"


async def test_nobody_there_is_retryable(vendor: Pair) -> None:
    tts, server = vendor
    await server.__aexit__(None, None, None)
    with pytest.raises(ProviderError) as caught:
        await listen(tts, PHRASE)
    assert caught.value.retryable


@pytest.mark.parametrize("piece_bytes", [1, 333, 100_001])
async def test_piece_borders_do_not_matter(vendor: Pair, piece_bytes: int) -> None:
    tts, server = vendor
    whole = await listen(tts, "Hello there.")
    server.trouble = Trouble(piece_bytes=piece_bytes)
    cut = await listen(tts, "Hello there.")
    assert np.array_equal(cut.samples, whole.samples)
    assert [word.text for word in cut.words] == [word.text for word in whole.words]


async def test_the_vendor_learns_of_an_early_close(vendor: Pair) -> None:
    tts, server = vendor
    server.trouble = Trouble(stall_after=2)
    stream = tts.stream(LONG)
    await anext(stream)
    await stream.aclose()
    await eventually(lambda: server.broken == 1)
