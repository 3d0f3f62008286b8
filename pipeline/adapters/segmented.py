"""Streaming speech to text out of an engine that only knows whole segments.

The running turn is buffered. While it grows it is decoded again and again for interim text; a mark decodes all of it up
to the mark. Decoding happens inside the iteration: nothing runs while nobody iterates, and at most one decode of a
stream at a time is wanted. A mark cancels an interim that is in flight (an engine with a free worker starts at once)
and an older mark (which it answers as well). The engine gets the last answer for audio with the same start as a draft;
an interim that it has no time for is left out.
"""

import asyncio
from dataclasses import dataclass
from typing import Self

from pipeline.adapters.turn_audio import Piece, TurnAudio
from pipeline.allowance import Allowance
from pipeline.ports import EngineBusy, Hypothesis, SegmentTranscriber, Transcription
from voicegate.kernel.audio import FRAME_MS, Frame
from voicegate.kernel.errors import ConfigError, ProviderError


@dataclass(frozen=True, slots=True)
class SegmentedConfig:
    interim_every_s: float | None = 0.5
    """New audio after which the buffer is decoded for interim text; None: no interims."""
    interim_growth: float = 0.1
    """... but at least this share of the buffer, as decoding a long one costs more."""
    max_segment_s: float = 15.0
    """A longer stretch is settled piecewise, cut where it is quiet."""
    min_segment_s: float = 0.1
    """Less audio than this holds no word and is not decoded."""
    max_audio_s: float = 60.0
    """Audio kept of one turn. Beyond that the oldest goes, whose text is settled by then."""
    languages: tuple[str, ...] = ("en",)
    """What the engine understands, as ISO 639-1 codes; empty: it is asked for anything."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A decode of ``start`` to ``end``: the answer to ``mark``, or a piece to settle, or else an interim."""

    start: int
    end: int
    mark: int | None = None
    settles: bool = False

    @property
    def interim(self) -> bool:
        return self.mark is None and not self.settles


@dataclass(frozen=True, slots=True)
class _Mark:
    mark: int
    position: int


class SegmentedSpeechToText:
    """A :class:`~pipeline.ports.SpeechToText` over any segment engine. The engine's life is its owner's."""

    def __init__(
        self,
        engine: SegmentTranscriber,
        config: SegmentedConfig | None = None,
        *,
        provider: str,
        allowance: Allowance | None = None,
    ) -> None:
        self._engine = engine
        self._allowance = allowance or Allowance()
        self._config = config or SegmentedConfig()
        self._provider = provider

    @property
    def provider(self) -> str:
        return self._provider

    def open(self, *, language: str = "en") -> "SegmentedStream":
        """A new stream.

        Raises:
            ConfigError: the engine does not understand ``language`` (``en-US`` counts as ``en``).
        """
        known = self._config.languages
        if known and language.split("-")[0].lower() not in known:
            raise ConfigError(f"language {language!r}: {self._provider} understands {', '.join(known)}")
        return SegmentedStream(self._engine, self._config, self._allowance)


class SegmentedStream:
    """One session's stream; iterate it in one task only. Frames are kept, not copied: leave them as they are."""

    def __init__(self, engine: SegmentTranscriber, config: SegmentedConfig, allowance: Allowance) -> None:
        self._engine, self._allowance = engine, allowance
        self._interim_every = _frames(config.interim_every_s) if config.interim_every_s else None
        self._interim_growth = config.interim_growth
        self._longest = _frames(config.max_segment_s)
        self._shortest = _frames(config.min_segment_s)
        self._audio = TurnAudio(max(_frames(config.max_audio_s), self._longest + 1))
        self._wanted: _Mark | None = None
        self._latest: Piece | None = None
        self._running: tuple[_Job, asyncio.Task[Transcription | ProviderError]] | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self._interim_end = 0
        self._interim_text = ""
        self._interims_paused = False
        self._settle_from = 0

    def push(self, frame: Frame) -> None:
        if self._closed:
            return
        self._audio.push(frame)
        if self._running is None and self._next_job() is not None:
            self._changed.set()

    def mark(self, mark: int) -> None:
        self._wanted = _Mark(mark, self._audio.mark(mark))
        self._interims_paused = False
        if self._running is not None and not self._running[0].settles:
            self._drop_running()
        self._changed.set()

    def commit(self, mark: int) -> None:
        position = self._audio.commit(mark)
        if position is None:
            return
        if self._wanted is not None and self._wanted.mark <= mark:
            self._wanted = None
        if self._running is not None and self._running[0].start < position:
            self._drop_running()
        self._restart_interims(position)
        self._changed.set()

    def discard(self) -> None:
        self._audio.discard()
        self._wanted = None
        self._drop_running()
        self._restart_interims(self._audio.end)

    async def aclose(self) -> None:
        """End the iteration. When this returns the engine is no longer working for the stream."""
        running = self._running
        self._closed = True
        self.discard()
        self._changed.set()
        if running is not None:
            await asyncio.wait({running[1]})

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Hypothesis:
        while not self._closed:
            job = self._next_job()
            if job is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            hypothesis = await self._perform(job)
            if hypothesis is not None:
                return hypothesis
        raise StopAsyncIteration

    def _next_job(self) -> _Job | None:
        """The decode that is due now. A mark goes first, then what has grown too long, then interim text."""
        start, end, wanted = self._audio.settled, self._audio.end, self._wanted
        too_long = (wanted.position if wanted else end) - start > self._longest
        if too_long and (wanted or end >= self._settle_from):
            return _Job(start, start + self._longest, settles=True)
        if wanted:
            return _Job(start, wanted.position, wanted.mark)
        if self._interim_every is None or self._interims_paused or too_long or not self._allowance.interims:
            return None
        new = end - max(self._interim_end, start)
        due = max(self._interim_every, (end - start) * self._interim_growth)
        return _Job(start, end) if new >= due else None

    async def _perform(self, job: _Job) -> Hypothesis | None:
        """Decode and take the result into the turn; a hypothesis where there is news.

        Raises:
            ProviderError: the engine failed at a mark or a piece. A failed interim only ends interims until the next
                mark: the mark will tell whether the engine is really away.
        """
        if job.settles:
            job = _Job(job.start, self._audio.quiet_point(job.start, self._longest), settles=True)
        match await self._decode(job):
            case None:
                return None
            case Transcription() as transcription:
                return self._took(job, transcription)
            case EngineBusy() if job.interim:
                self._interim_end = max(self._interim_end, job.end)
                return None
            case ProviderError() as error if not job.interim:
                self._wanted = None
                self._settle_from = self._audio.end + self._longest // 4
                raise error
            case ProviderError():
                self._interims_paused = True
                return None

    def _took(self, job: _Job, transcription: Transcription) -> Hypothesis | None:
        self._latest = Piece(job.start, job.end, transcription)
        if job.settles:
            self._audio.settle(job.start, job.end, transcription)
            return None
        whole = self._audio.whole(job.start, job.end, transcription)
        self._interim_end = max(self._interim_end, job.end)
        if job.mark is not None:
            self._wanted = None
            return Hypothesis(whole, job.mark)
        if whole.text == self._interim_text:
            return None
        self._interim_text = whole.text
        return Hypothesis(whole)

    async def _decode(self, job: _Job) -> Transcription | ProviderError | None:
        """What the engine says; None where it was dropped meanwhile, even if the answer was just there."""
        if job.end - job.start < self._shortest:
            return Transcription("")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._asked(job))
            running = self._running = (job, task)
            try:
                await asyncio.wait({task})
                dropped = self._running is not running
            finally:
                self._running = None
        return None if dropped or task.cancelled() else task.result()

    async def _asked(self, job: _Job) -> Transcription | ProviderError:
        """The engine's answer or its failure, as a value: a task group would wrap an exception in a group."""
        try:
            samples = self._audio.samples(job.start, job.end)
            return await self._engine.transcribe(samples, draft=self._draft(job), interim=job.interim)
        except ProviderError as error:
            return error

    def _draft(self, job: _Job) -> Transcription | None:
        """The last answer, if it is about audio with the same start; positions are never used twice in a stream."""
        return self._latest.transcription if self._latest is not None and self._latest.start == job.start else None

    def _drop_running(self) -> None:
        if self._running is not None:
            self._running[1].cancel()
            self._running = None

    def _restart_interims(self, position: int) -> None:
        self._interim_end = position
        self._interim_text = ""
        self._interims_paused = False
        self._settle_from = 0


def _frames(seconds: float) -> int:
    return round(seconds * 1000 / FRAME_MS)
