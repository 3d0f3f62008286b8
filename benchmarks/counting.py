"""An agent that counts and a voice of tones: from a waveform alone one can tell which words were heard. PURE but for
the waiting of the engines.

The answer is a row of different words; each word is a tone of its own pitch. However little of a reply was heard, the
last pitch names the word, and how long it sounded tells whether its middle was out.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from benchmarks.simulated import GREETING, PROVIDER, Latencies
from pipeline.ports import (
    AgentOutput,
    AgentRequest,
    SpeechChunk,
    TextDelta,
    TokensUsed,
    ToolCalled,
    ToolReturned,
    WordTime,
)
from voicegate.kernel.audio import Samples

_ANSWER = (
    "Apples bring calm days every fall. Good hens in June keep laying more nice. Old pears quite ripen sooner than "
    "ugly very warm yellow zucchini. Bakers carry dough early from garden house into jars. Kings love mild nuts."
)
WORDS = tuple(_ANSWER.split())
"""The answer. No word comes twice, whatever its capitals and stops."""
TOOL_AFTER = 6
"""Words before the tool call."""
_PITCH_HZ, _STEP_HZ = 400.0, 60.0
_OTHER_HZ = 3_200.0
"""Any word that is not of the answer."""
_WORD_S, _GAP_S = 0.24, 0.04
_RATE_HZ = 16_000
_PEAK = 8_000
_LEAST_HEARD_S = 0.03
"""A shorter piece of tone has no pitch that could be told."""
_CHUNK_S = 0.1
_SAID_AGAIN = 3
"""Words: a paused reply goes back 600 ms at the most."""


def _plain(word: str) -> str:
    return word.strip(".,?!").lower()


_INDEX = {_plain(word): index for index, word in enumerate(WORDS)}


def pitch_hz(word: str) -> float:
    """The pitch of a word."""
    index = _INDEX.get(_plain(word))
    return _OTHER_HZ if index is None else _PITCH_HZ + index * _STEP_HZ


def tones(phrase: str) -> tuple[Samples, list[WordTime]]:
    """``phrase`` as tones: mono int16 at 16 kHz, and where each word lies."""
    parts: list[Samples] = []
    times: list[WordTime] = []
    at_s = 0.0
    t = np.arange(round(_WORD_S * _RATE_HZ)) / _RATE_HZ
    for word in phrase.split():
        parts.append((_PEAK * np.sin(2 * np.pi * pitch_hz(word) * t)).astype(np.int16))
        parts.append(np.zeros(round(_GAP_S * _RATE_HZ), np.int16))
        times.append(WordTime(word, at_s, at_s + _WORD_S))
        at_s += _WORD_S + _GAP_S
    return (np.concatenate(parts) if parts else np.zeros(0, np.int16)), times


@dataclass(frozen=True, slots=True)
class Counted:
    """What a waveform tells."""

    words: int
    """Words of the answer whose middle was heard."""
    last: str
    """The last word of which anything was heard; empty: none."""


def heard_words(samples: Samples, rate_hz: int) -> Counted:
    """How far into the answer ``samples`` go (any silence around and within it). Where it begins anew, that is the next
    answer, which does not count; a reply that was paused may say a word or two again.
    """
    loud = np.abs(samples.astype(np.int32)) > _PEAK // 50
    found = np.flatnonzero(loud)
    if not found.size:
        return Counted(0, "")
    # A tone crosses zero all the time: a gap is only what lasts longer than half a pause between words.
    stretches = np.split(found, np.flatnonzero(np.diff(found) > _GAP_S / 2 * rate_hz) + 1)
    last = ""
    words = 0
    for stretch in stretches:
        index = _word_of(samples[stretch[0] : stretch[-1] + 1], rate_hz)
        if index is None:
            continue
        if index < words - _SAID_AGAIN:
            break
        last = WORDS[index]
        half = (stretch[-1] + 1 - stretch[0]) / rate_hz >= _WORD_S / 2
        words = index + 1 if half else index
    return Counted(words, last)


def _word_of(tone: Samples, rate_hz: int) -> int | None:
    """The word of a tone; None for another word, or for what is too short to tell."""
    if tone.size < _LEAST_HEARD_S * rate_hz:
        return None
    padded = 1 << 15
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(tone.size), padded))
    pitch = float(np.argmax(spectrum)) * rate_hz / padded
    index = round((pitch - _PITCH_HZ) / _STEP_HZ)
    return index if 0 <= index < len(WORDS) and abs(pitch - pitch_hz(WORDS[index])) < _STEP_HZ / 2 else None


class CountingAgent:
    """Says the row of words to every turn; ``tool_ms`` above 0: after some of them it waits that long for a tool."""

    provider = PROVIDER
    starting_agent = "counting"

    def __init__(self, latencies: Latencies, tool_ms: float = 0.0) -> None:
        self._latencies = latencies
        self._tool_s = tool_ms / 1000

    async def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        await asyncio.sleep(self._latencies.ttft_ms / 1000)
        words = GREETING.split() if request.kind == "greeting" else list(WORDS)
        for index, word in enumerate(words):
            if index == TOOL_AFTER and self._tool_s:
                yield ToolCalled("tool-1", "look", "{}")
                await asyncio.sleep(self._tool_s)
                yield ToolReturned("tool-1", "look", ok=True, result="seen")
            yield TextDelta(word + " ")
            await asyncio.sleep(self._latencies.token_ms / 1000)
        yield TokensUsed(1, len(words))


class ToneVoice:
    """Speaks phrases as tones after ``tts_ms``, with the words' times. 16 kHz."""

    provider = PROVIDER
    sample_rate_hz = _RATE_HZ

    def __init__(self, latencies: Latencies) -> None:
        self._delay_s = latencies.tts_ms / 1000

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        samples, times = tones(phrase)
        await asyncio.sleep(self._delay_s)
        step = round(_CHUNK_S * self.sample_rate_hz)
        for start in range(0, samples.size, step):
            yield SpeechChunk(samples[start : start + step], words=tuple(times) if start == 0 else ())
