"""ElevenLabs: what is sent, and sockets kept warm."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.adapters.elevenlabs import ElevenLabsConfig
from pipeline.adapters.elevenlabs_http import ElevenLabsHttpSpeech
from pipeline.adapters.elevenlabs_ws import ElevenLabsSocketSpeech
from pipeline.ports import TextToSpeech
from tests.vendors.elevenlabs import ElevenLabsServer
from voicegate.kernel.errors import ConfigError


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def words(tts: TextToSpeech, phrase: str, voice: str = "") -> list[str]:
    return [word.text async for chunk in tts.stream(phrase, voice=voice) for word in chunk.words]


async def test_http_sends_what_the_reference_asks_for() -> None:
    async with ElevenLabsServer() as server:
        tts = ElevenLabsHttpSpeech(ElevenLabsConfig(api_key="key", base_url=server.url + "/", model="m", stability=0.7))
        [chunk async for chunk in tts.stream("Hello.", voice="v/1", previous_text="Well.")]
        await tts.aclose()
    assert server.requests == [
        {
            "text": "Hello.",
            "model_id": "m",
            "voice_settings": {"stability": 0.7, "similarity_boost": 0.8},
            "previous_text": "Well.",
            "voice": "v/1",
        }
    ]


@pytest.mark.parametrize("key", ["charDurationsMs", "charsDurationsMs"])
async def test_both_spellings_of_durations(key: str) -> None:
    async with ElevenLabsServer(durations_key=key) as server:
        tts = ElevenLabsSocketSpeech(ElevenLabsConfig(api_key="key", base_url=server.url))
        heard = [word async for chunk in tts.stream("Hello there, sir.") for word in chunk.words]
        await tts.aclose()
    assert [word.text for word in heard] == ["Hello", "there,", "sir."]
    assert [round(word.end_s, 2) for word in heard] == [0.3, 0.72, 1.02]
    assert [request["text"] for request in server.requests] == [" ", "Hello there, sir. ", ""]


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
async def test_the_rate_is_asked_for(rate_hz: int) -> None:
    async with ElevenLabsServer() as server:
        config = ElevenLabsConfig(api_key="key", base_url=server.url, sample_rate_hz=rate_hz)
        for tts in (ElevenLabsHttpSpeech(config), ElevenLabsSocketSpeech(config)):
            samples = np.concatenate([chunk.samples async for chunk in tts.stream("Hello!")])
            await tts.aclose()
            assert tts.sample_rate_hz == rate_hz
            assert len(samples) / rate_hz == pytest.approx(0.06 * 6, abs=0.07)


async def test_a_warm_socket_waits_for_the_phrase() -> None:
    async with ElevenLabsServer() as server:
        tts = ElevenLabsSocketSpeech(ElevenLabsConfig(api_key="key", base_url=server.url, voice="v"))
        async with asyncio.TaskGroup() as group:
            warming = group.create_task(tts.keep_warm())
            await eventually(lambda: len(server.requests) == 1)  # it has said hello
            assert await words(tts, "One.") == ["One."]
            assert server.requests[1]["text"] == "One. ", "the phrase went over the socket that was open"
            await eventually(lambda: server.sockets == 2)
            assert await words(tts, "Two.", voice="another") == ["Two."]
            assert server.requests[-1]["voice"] == "another", "a spare speaks with one voice only"
            warming.cancel()
        await tts.aclose()


async def test_a_spare_that_the_vendor_closed_costs_nothing_but_time() -> None:
    async with ElevenLabsServer(close_spares=True) as server:
        tts = ElevenLabsSocketSpeech(ElevenLabsConfig(api_key="key", base_url=server.url))
        async with asyncio.TaskGroup() as group:
            warming = group.create_task(tts.keep_warm())
            await eventually(lambda: len(server.requests) == 1)
            warming.cancel()
        server.close_spares = False
        assert await words(tts, "Still here.") == ["Still", "here."]
        await tts.aclose()


async def test_warming_goes_on_when_the_vendor_is_away() -> None:
    async with ElevenLabsServer(api_key="another") as server:
        tts = ElevenLabsSocketSpeech(ElevenLabsConfig(api_key="key", base_url=server.url))
        async with asyncio.TaskGroup() as group:
            warming = group.create_task(tts.keep_warm())
            await asyncio.sleep(0.05)
            assert not warming.done()
            server.api_key = "key"
            assert await words(tts, "Hi.") == ["Hi."]  # asks for a spare, which is tried at once
            await eventually(lambda: server.sockets == 2)
            warming.cancel()
        await tts.aclose()


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="16000"):
        ElevenLabsConfig(api_key="", sample_rate_hz=8000)
    with pytest.raises(ConfigError, match="http://"):
        ElevenLabsConfig(api_key="", base_url="wss://x")
