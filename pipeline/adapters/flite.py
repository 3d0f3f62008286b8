"""Text to speech by flite, in this process: no key, no network, first audio about 10 ms after the call.

Source of the engine: Debian package ``libflite1`` (flite 2.2, Carnegie Mellon University). Words come with their
times, because durations are predicted before the first sample. The 175 ms pause that flite puts first is cut, as it
would only add to the latency; what it puts last becomes the gap a listener expects.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pipeline.adapters import flite_library
from pipeline.adapters.flite_library import SAMPLE_RATE_HZ, Timing, Voice
from pipeline.adapters.spoken import SpokenText, spoken
from pipeline.ports import SpeechChunk, WordTime
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ConfigError, ProviderError

PROVIDER = "flite"
LEAD_S = 0.02
"""Silence left before the first word, so that no onset is cut."""
CLAUSE_GAP_S = 0.12
SENTENCE_GAP_S = 0.25
"""Silence after the last word: our choice, the usual pauses of read speech at a comma and at a full stop."""


@dataclass(frozen=True, slots=True)
class FliteConfig:
    voice: str = "rms"
    """``rms``, ``slt`` or ``awb``."""
    stretch: float = 1.1
    """Factor on all durations. 1.1 is about 160 words a minute, the pace of read speech, and understood best: 9 % word
    errors of the embedded recogniser against 11 % at flite's own pace (``benchmarks/tts.py``)."""
    workers: int = 8
    """Phrases in synthesis at once. More than there are cores is right: each takes 1.3 % of real time, and a phrase
    that waits for a whole other one would start late."""


def available() -> bool:
    """Whether the library and its default voice are installed."""
    try:
        flite_library.load("rms")
    except ConfigError:
        return False
    return True


_Report: TypeAlias = Callable[[SpeechChunk | ProviderError | None], None]


class FliteSpeech:
    """The :class:`~pipeline.ports.TextToSpeech` of flite. 16 kHz.

    A voice name that is not flite's speaks with the configured voice, so that flite can stand in for another engine.

    Raises:
        ConfigError: the library is missing; the message says how to mend it.
    """

    def __init__(self, config: FliteConfig | None = None) -> None:
        self._config = config or FliteConfig()
        flite_library.load(self._config.voice)
        self._pool = ThreadPoolExecutor(self._config.workers, thread_name_prefix="flite")
        self._voices = threading.local()

    @property
    def provider(self) -> str:
        return PROVIDER

    @property
    def sample_rate_hz(self) -> int:
        return SAMPLE_RATE_HZ

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        text = spoken(phrase)
        if not any(c.isalnum() for c in text.text):
            return
        loop = asyncio.get_running_loop()
        reports: asyncio.Queue[SpeechChunk | ProviderError | None] = asyncio.Queue()

        def report(item: SpeechChunk | ProviderError | None) -> None:
            if not stopped.is_set():  # else nobody listens and the loop may be closed
                loop.call_soon_threadsafe(reports.put_nowait, item)

        stopped = threading.Event()
        try:
            work = self._pool.submit(self._speak, text, voice, stopped, report)
        except RuntimeError as error:
            raise ProviderError(PROVIDER, "it is closed", retryable=False) from error
        try:
            while (item := await reports.get()) is not None:
                if isinstance(item, ProviderError):
                    raise item
                yield item
        finally:
            stopped.set()
            work.cancel()

    async def aclose(self) -> None:
        """Stop the threads. A phrase in synthesis is finished by its iterator's closing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _speak(self, text: SpokenText, voice: str, stopped: threading.Event, report: _Report) -> None:
        """Runs in a worker thread."""
        phrase = _Phrase(text, stopped, report)
        try:
            self._voice(voice).speak(text.text, phrase.on_audio, stretch=self._config.stretch)
            phrase.finish()
            report(None)
        except Exception as error:
            failure = ProviderError(PROVIDER, f"synthesis failed: {error}", retryable=True)
            failure.__cause__ = error
            report(failure)

    def _voice(self, name: str) -> Voice:
        chosen = name if name in flite_library.VOICES else self._config.voice
        voices: dict[str, Voice] = self._voices.__dict__
        if chosen not in voices:
            voices[chosen] = Voice(chosen)
        return voices[chosen]


class _Phrase:
    """One phrase on its way out of flite: pauses trimmed, words timed against what is left. Lives in one thread."""

    def __init__(self, text: SpokenText, stopped: threading.Event, report: _Report) -> None:
        self._text = text
        self._stopped = stopped
        self._report = report
        self._position = 0
        self._start = self._end = 0
        self._words: tuple[WordTime, ...] = ()

    def on_audio(self, samples: Samples, timing: Timing) -> bool:
        if self._position == 0:
            self._trim(timing)
        begin, self._position = self._position, self._position + len(samples)
        kept = samples[max(0, self._start - begin) : max(0, self._end - begin)]
        if len(kept):
            self._report(SpeechChunk(kept, self._words))
            self._words = ()
        return not self._stopped.is_set() and self._position < self._end

    def finish(self) -> None:
        """The rest of the last gap, where flite's own pause was shorter."""
        missing = self._end - max(self._position, self._start)
        if missing > 0:
            self._report(SpeechChunk(np.zeros(missing, dtype=np.int16), self._words))

    def _trim(self, timing: Timing) -> None:
        gap_s = SENTENCE_GAP_S if self._text.text.endswith((".", "!", "?")) else CLAUSE_GAP_S
        cut_s = max(0.0, timing.speech_start_s - LEAD_S)
        self._start = round(cut_s * SAMPLE_RATE_HZ)
        self._end = round((timing.speech_end_s + gap_s) * SAMPLE_RATE_HZ)
        self._words = word_times(self._text, timing, cut_s)


def word_times(text: SpokenText, timing: Timing, cut_s: float) -> tuple[WordTime, ...]:
    """Times of the written words, in seconds from ``cut_s`` on.

    A written word lasts from its first spoken token to its last; one without sound has no length.
    """
    spans: dict[int, tuple[float, float]] = {}
    for token in timing.tokens:
        index = text.written_index(token.end_byte)
        if index is not None and token.end_s > token.start_s:
            start_s, _ = spans.get(index, (token.start_s, 0.0))
            spans[index] = (start_s, token.end_s)
    words = []
    previous_s = timing.speech_start_s
    for index, word in enumerate(text.written):
        start_s, end_s = spans.get(index, (previous_s, previous_s))
        words.append(WordTime(word, max(0.0, start_s - cut_s), max(0.0, end_s - cut_s)))
        previous_s = end_s
    return tuple(words)
