"""The simulated stages keep their ports' promises and their times."""

import asyncio

import numpy as np

from benchmarks.simulated import (
    TRANSCRIPT,
    EnergyActivity,
    Latencies,
    SimulatedAgent,
    SimulatedSpeech,
    SimulatedSpeechToText,
    answer_tokens,
    first_phrase_ms,
    tone,
)
from pipeline.ports import AgentRequest, TextDelta

FAST = Latencies(stt_ms=20, ttft_ms=30, tokens=12, token_ms=5, tts_ms=25)


async def test_a_mark_is_answered_after_its_time_and_an_older_one_is_not() -> None:
    loop = asyncio.get_running_loop()
    stream = SimulatedSpeechToText(FAST).open()
    began = loop.time()
    stream.mark(1)
    stream.mark(2)
    answer = await anext(aiter(stream))
    assert (answer.mark, answer.transcription.text) == (2, TRANSCRIPT)
    assert 0.019 <= loop.time() - began < 0.2
    stream.mark(3)
    stream.discard()
    await stream.aclose()
    assert [each async for each in stream] == []


async def test_the_agent_keeps_to_its_token_times() -> None:
    loop = asyncio.get_running_loop()
    began, times, text = loop.time(), [], ""
    async for output in SimulatedAgent(FAST).reply(AgentRequest("s", (), "hi")):
        if isinstance(output, TextDelta):
            times.append(loop.time() - began)
            text += output.text
    assert len(text.split()) == 12
    assert times[0] >= 0.029
    assert times[-1] >= 0.030 + 11 * 0.005 - 0.001


async def test_speech_has_the_length_of_the_phrase_and_comes_after_its_time() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    chunks = []
    first = 0.0
    async for chunk in SimulatedSpeech(FAST).stream("a phrase of thirty characters!"):
        first = first or loop.time() - began
        chunks.append(chunk.samples)
    assert sum(map(len, chunks)) == 2 * 16_000
    assert first >= 0.024


async def test_energy_voice_activity_tells_tone_from_silence() -> None:
    told: list[tuple[float, int]] = []
    detector = EnergyActivity().open(lambda probability, end: told.append((probability, end)))
    for frame in (*tone(0.16, 16_000).reshape(-1, 320), *np.zeros((8, 320), np.int16)):
        detector.push(frame)
    await asyncio.sleep(0)
    assert told == [(1.0 if end <= 2560 else 0.0, end) for end in range(512, 5121, 512)]
    detector.push(np.zeros(320, np.int16))
    detector.push(np.zeros(320, np.int16))
    detector.close()
    await asyncio.sleep(0)
    assert len(told) == 10  # nothing after close


def test_the_first_phrase_needs_some_tokens() -> None:
    tokens = answer_tokens(FAST)
    assert len(tokens) == 12
    assert FAST.ttft_ms < first_phrase_ms(FAST) <= FAST.ttft_ms + 11 * FAST.token_ms
    assert first_phrase_ms(Latencies(tokens=2, token_ms=10, ttft_ms=100)) == 110


def test_a_tone_is_audible_from_its_first_sample() -> None:
    assert tone(0.1, 8000)[0] == 8000
