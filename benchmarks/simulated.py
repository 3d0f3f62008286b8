"""Engines of known latency, to measure the gateway itself: nothing is recognised, thought or spoken, only waited for.

They satisfy the ports, so the whole gateway runs on them unchanged. Waiting is done on absolute deadlines of the event
loop, so that a busy loop shows as overhead of the gateway and not as a shorter or longer simulated stage.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from pipeline.chunking import PhraseChunker
from pipeline.ports import (
    AgentOutput,
    AgentRequest,
    Hypothesis,
    OnProbability,
    SpeechChunk,
    TextDelta,
    TokensUsed,
    Transcription,
)
from voicegate.kernel.audio import Frame, Samples

PROVIDER = "simulated"
TRANSCRIPT = "Could you tell me your opening hours, please?"
GREETING = "Hello, how can I help you?"
_WORDS = (
    "We are open from nine to six on weekdays, and on Saturdays from ten to two. On Sundays and on public holidays the "
    "office is closed. You can reach us by phone or come by without an appointment, whenever it suits you best."
)
_LETTERS_PER_S = 15
"""Length of simulated speech: 180 words a minute of five letters."""
_CHUNK_S = 0.1
_VAD_WINDOW = 512
_TONE_HZ, _TONE_PEAK = 440, 8000


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of the simulated stages."""

    stt_ms: float = 100.0
    """From asking for settled text to having it."""
    ttft_ms: float = 150.0
    """From asking the agent to its first token."""
    tokens: int = 40
    """Words of an answer; one token is one word."""
    token_ms: float = 20.0
    """Between two tokens."""
    tts_ms: float = 75.0
    """From a phrase to its first audio; the rest follows at once."""


def answer_tokens(latencies: Latencies) -> list[str]:
    """The deltas of every answer."""
    words = _WORDS.split()
    return [words[n % len(words)] + " " for n in range(latencies.tokens)]


def first_phrase_ms(latencies: Latencies) -> float:
    """From the request to the end of the first phrase: the first token, and as many more as the chunker wants."""
    chunker = PhraseChunker()
    tokens = answer_tokens(latencies)
    for index, token in enumerate(tokens):
        if chunker.push(token):
            return latencies.ttft_ms + index * latencies.token_ms
    return latencies.ttft_ms + (len(tokens) - 1) * latencies.token_ms


class SimulatedSpeechToText:
    """Answers every mark after ``stt_ms`` with the same finished sentence; gives no interims."""

    provider = PROVIDER

    def __init__(self, latencies: Latencies) -> None:
        self._delay_s = latencies.stt_ms / 1000

    def open(self, *, language: str = "en") -> "SimulatedTranscript":
        return SimulatedTranscript(self._delay_s)


class SimulatedTranscript:
    """One session's stream."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Hypothesis | None] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None

    def push(self, frame: Frame) -> None:
        pass

    def mark(self, mark: int) -> None:
        self.discard()
        text = Transcription(TRANSCRIPT, confidence=-0.05, end_probability=0.95)
        self._timer = self._loop.call_later(self._delay_s, self._answers.put_nowait, Hypothesis(text, mark))

    def commit(self, mark: int) -> None:
        pass

    def discard(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Hypothesis:
        answer = await self._answers.get()
        if answer is None:
            raise StopAsyncIteration
        return answer

    async def aclose(self) -> None:
        self.discard()
        self._answers.put_nowait(None)


class SimulatedAgent:
    """Streams the same answer to every turn."""

    provider = PROVIDER
    starting_agent = "simulated"

    def __init__(self, latencies: Latencies) -> None:
        self._latencies = latencies

    async def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        asked = asyncio.get_running_loop().time()
        tokens = [GREETING] if request.kind == "greeting" else answer_tokens(self._latencies)
        for index, token in enumerate(tokens):
            await _until(asked + (self._latencies.ttft_ms + index * self._latencies.token_ms) / 1000)
            yield TextDelta(token)
        yield TokensUsed(len(request.text.split()), len(tokens))


class SimulatedSpeech:
    """A tone as long as the phrase would take to say. 16 kHz."""

    provider = PROVIDER
    sample_rate_hz = 16_000

    def __init__(self, latencies: Latencies) -> None:
        self._delay_s = latencies.tts_ms / 1000

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        asked = asyncio.get_running_loop().time()
        samples = tone(len(phrase) / _LETTERS_PER_S, self.sample_rate_hz)
        await _until(asked + self._delay_s)
        step = round(_CHUNK_S * self.sample_rate_hz)
        for start in range(0, samples.size, step):
            yield SpeechChunk(samples[start : start + step])


class EnergyActivity:
    """Voice activity by level, to measure without Silero: windows of 512 samples at 16 kHz, voiced above -40 dBFS."""

    def open(self, on_probability: OnProbability) -> "EnergyDetector":
        return EnergyDetector(on_probability)


class EnergyDetector:
    """One session's detector."""

    def __init__(self, on_probability: OnProbability) -> None:
        self._on_probability = on_probability
        self._loop = asyncio.get_running_loop()
        self._rest: Samples = np.empty(0, np.int16)
        self._end = 0
        self._closed = False

    def push(self, frame: Frame) -> None:
        samples = np.concatenate([self._rest, frame])
        while samples.size >= _VAD_WINDOW:
            self._end += _VAD_WINDOW
            loud = float(np.sqrt(np.mean(samples[:_VAD_WINDOW].astype(np.float32) ** 2))) > 330
            self._loop.call_soon(self._tell, 1.0 if loud else 0.0, self._end)
            samples = samples[_VAD_WINDOW:]
        self._rest = samples

    def close(self) -> None:
        self._closed = True

    def _tell(self, probability: float, end: int) -> None:
        if not self._closed:
            self._on_probability(probability, end)


@lru_cache(maxsize=64)
def tone(seconds: float, rate_hz: int) -> Samples:
    """A steady tone: mono int16, shape (n,), not to be written to; audible from its first sample on. The same phrase
    of all calls shares one: neither its making nor its memory is the gateway's."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    wave: Samples = (_TONE_PEAK * np.cos(2 * np.pi * _TONE_HZ * t)).astype(np.int16)
    return wave


async def _until(deadline: float) -> None:
    ahead = deadline - asyncio.get_running_loop().time()
    if ahead > 0:
        await asyncio.sleep(ahead)
