"""What every streaming speech to text must keep."""

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters import flite
from pipeline.adapters.moonshine import MoonshineTranscriber
from pipeline.adapters.openai_transcription import OpenAITranscriber, OpenAITranscriptionConfig
from pipeline.adapters.segmented import SegmentedConfig, SegmentedSpeechToText
from pipeline.ports import Hypothesis, SpeechToText, Transcription, TranscriptStream
from tests.vendors.openai_audio import Heard, OpenAIAudioServer
from voicegate.kernel.audio import Samples

PATIENCE_S = 20
CLIPS = Path(os.environ.get("VOICEGATE_TEST_SPEECH", Path(__file__).parents[3] / "shared" / "audio"))


class Measuring:
    """An engine that answers with one word for every quarter second of sound; no weights, no network."""

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        await asyncio.sleep(0)
        steps = samples[: samples.size // 4000 * 4000].reshape(-1, 4000)
        return Transcription(" ".join("word" for step in steps if np.abs(step).max() > 500), -0.1, 0.9)


def one_word_a_burst(heard: Heard) -> str:
    return " ".join(["word"] * heard.bursts)


@pytest.fixture(params=["measuring", "moonshine", "openai"])
async def speech_to_text(
    request: pytest.FixtureRequest, moonshine: MoonshineTranscriber
) -> AsyncIterator[SpeechToText]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "measuring":
                yield SegmentedSpeechToText(Measuring(), provider="measuring")
            case "moonshine":
                yield SegmentedSpeechToText(moonshine, provider=moonshine.provider)
            case "openai":
                vendor = await stack.enter_async_context(OpenAIAudioServer())
                vendor.switches.answer = one_word_a_burst
                remote = OpenAITranscriber(OpenAITranscriptionConfig(api_key="k", base_url=vendor.base_url))
                await stack.enter_async_context(remote)
                yield SegmentedSpeechToText(remote, SegmentedConfig(interim_every_s=1.0), provider=remote.provider)


@pytest.fixture(scope="module")
def utterances() -> tuple[Samples, Samples]:
    """Two spoken sentences, 16 kHz: by the embedded voice, or clips of people where that is not installed."""
    if flite.available():
        texts = ("My name is Anna and I need some help.", "I would like to book a table for two people.")
        return asyncio.run(spoken(texts[0])), asyncio.run(spoken(texts[1]))
    clips = ("sb_spk1_2.wav", "sb_example1.wav")
    if not all((CLIPS / name).is_file() for name in clips):
        pytest.skip("no speech: install libflite1, or set VOICEGATE_TEST_SPEECH")
    return read(CLIPS / clips[0]), read(CLIPS / clips[1])


async def spoken(text: str) -> Samples:
    async with AsyncExitStack() as stack:
        voice = flite.FliteSpeech()
        stack.push_async_callback(voice.aclose)
        chunks = [chunk.samples async for chunk in voice.stream(text)]
    quiet = np.zeros(4000, np.int16)
    return np.concatenate([quiet, *chunks, quiet])


def read(path: Path) -> Samples:
    with wave.open(str(path)) as audio:
        return np.frombuffer(audio.readframes(audio.getnframes()), np.int16)


def push(stream: TranscriptStream, samples: Samples) -> None:
    for at in range(0, samples.size - 319, 320):
        stream.push(samples[at : at + 320])


async def answer(stream: TranscriptStream, mark: int) -> str:
    """The text that answers ``mark``; every hypothesis on the way must be an interim."""
    async with asyncio.timeout(PATIENCE_S):
        async for hypothesis in stream:
            if hypothesis.mark is not None:
                assert hypothesis.mark == mark
                return hypothesis.transcription.text
    raise AssertionError("the stream ended")


async def said(speech_to_text: SpeechToText, *audio: Samples) -> str:
    """What a fresh stream makes of the audio."""
    stream = speech_to_text.open()
    push(stream, np.concatenate(audio))
    stream.mark(1)
    text = await answer(stream, 1)
    await stream.aclose()
    return text


async def test_a_mark_is_answered_with_all_that_was_pushed(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    first, second = utterances
    stream = speech_to_text.open()
    push(stream, first)
    stream.mark(1)
    one = await answer(stream, 1)
    push(stream, second)
    stream.mark(2)
    both = await answer(stream, 2)
    await stream.aclose()
    assert len(one.split()) >= 1
    assert len(both.split()) > len(one.split())


async def test_of_marks_in_a_row_the_last_is_answered(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    stream = speech_to_text.open()
    push(stream, utterances[0])
    stream.mark(1)
    push(stream, utterances[1])
    stream.mark(2)
    assert await answer(stream, 2) == await said(speech_to_text, *map(whole_frames, utterances))
    await stream.aclose()


async def test_a_commit_keeps_what_came_after_its_mark(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    stream = speech_to_text.open()
    push(stream, utterances[0])
    stream.mark(1)
    await answer(stream, 1)
    push(stream, utterances[1])
    stream.commit(1)
    stream.mark(2)
    assert await answer(stream, 2) == await said(speech_to_text, utterances[1])
    await stream.aclose()


async def test_discard_forgets_audio_and_marks(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    stream = speech_to_text.open()
    push(stream, utterances[0])
    stream.mark(1)
    stream.discard()
    push(stream, utterances[1])
    stream.mark(2)
    assert await answer(stream, 2) == await said(speech_to_text, utterances[1])
    await stream.aclose()


async def test_interims_come_without_a_mark(speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]) -> None:
    stream = speech_to_text.open()
    push(stream, utterances[1])
    hypothesis = await asyncio.wait_for(anext(aiter(stream)), PATIENCE_S)
    assert hypothesis.mark is None
    assert hypothesis.transcription.text
    await stream.aclose()


async def test_silence_is_answered_with_no_text(speech_to_text: SpeechToText) -> None:
    assert await said(speech_to_text, np.zeros(16_000, np.int16)) == ""


async def test_close_ends_the_iteration_and_leaves_no_task(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    await said(speech_to_text, utterances[0])  # connections and threads that stay
    before = asyncio.all_tasks()
    stream = speech_to_text.open()
    got: list[Hypothesis] = []

    async def collect() -> None:
        async for hypothesis in stream:
            got.append(hypothesis)  # noqa: PERF401  # a comprehension would give nothing until the end

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(collect())
        await asyncio.sleep(0)
        push(stream, utterances[0])
        stream.mark(1)
        await asyncio.sleep(0)
        await stream.aclose()
        at_close = len(got)
        await stream.aclose()
    assert len(got) == at_close
    assert [item async for item in stream] == []
    assert asyncio.all_tasks() <= before


async def test_cancelling_the_reader_passes_through_and_reading_can_go_on(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    stream = speech_to_text.open()
    push(stream, utterances[0])
    stream.mark(1)
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(answer(stream, 1))
        await asyncio.sleep(0)
        reader.cancel()
    assert reader.cancelled()
    stream.mark(2)
    assert await answer(stream, 2) == await said(speech_to_text, utterances[0])
    await stream.aclose()


async def test_two_streams_hear_only_their_own(
    speech_to_text: SpeechToText, utterances: tuple[Samples, Samples]
) -> None:
    one, two = speech_to_text.open(), speech_to_text.open()
    push(one, utterances[0])
    push(two, utterances[1])
    one.mark(1)
    two.mark(1)
    texts = await asyncio.gather(answer(one, 1), answer(two, 1))
    assert list(texts) == [await said(speech_to_text, samples) for samples in utterances]
    await one.aclose()
    await two.aclose()


def whole_frames(samples: Samples) -> Samples:
    return samples[: samples.size // 320 * 320]
