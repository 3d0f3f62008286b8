"""Text to speech by espeak-ng, where flite is not installed: many languages, robotic, first audio within 2 ms.

The library and its data come in the wheel ``espeakng-loader``. It runs in processes of its own
(:mod:`pipeline.adapters.espeak_worker`): two threads in it crash, and a crash must not take calls with it. A worker
that dies fails the phrases it had, and the next phrase starts another.
"""

import asyncio
import json
import struct
import sys
from asyncio import SubprocessTransport, WriteTransport
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from pipeline.adapters.espeak_worker import HEADER
from pipeline.adapters.spoken import spoken
from pipeline.adapters.word_clock import WordClock
from pipeline.ports import SpeechChunk
from voicegate.kernel.errors import ConfigError, ProviderError, ProviderTimeout

PROVIDER = "espeak"
SAMPLE_RATE_HZ = 22_050
CLAUSE_GAP_S = 0.12
SENTENCE_GAP_S = 0.25
"""Silence put after the last word; espeak-ng itself ends with the last sound."""


@dataclass(frozen=True, slots=True)
class EspeakConfig:
    voice: str = "en-us"
    """A language or variant of espeak-ng: ``en-us``, ``en-gb``, ``de``, ``en-us+f3`` …"""
    words_per_minute: int = 165
    workers: int = 2
    """Processes. One speaks some 500 times faster than real time."""
    timeout_s: float = 5.0
    """For a worker to start, and between two pieces of audio."""


def available() -> bool:
    """Whether the wheel ``espeakng-loader`` is installed."""
    try:
        _paths()
    except ConfigError:
        return False
    return True


def _paths() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise ConfigError("tts=espeak needs the package espeakng-loader: pip install espeakng-loader") from error
    library, data = str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
    if not Path(library).is_file():
        raise ConfigError(f"tts=espeak: {library} is missing; reinstall the package espeakng-loader")
    return library, data


@dataclass(frozen=True, slots=True)
class _Message:
    kind: bytes
    payload: bytes


class _Process(asyncio.SubprocessProtocol):
    """One worker process: frames its messages and hands each to the phrase it belongs to."""

    def __init__(self) -> None:
        self.phrases: dict[int, asyncio.Queue[_Message]] = {}
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alive = True
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: SubprocessTransport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            length, kind, number = HEADER.unpack_from(self._buffer)
            if len(self._buffer) < HEADER.size + length:
                return
            payload = bytes(self._buffer[HEADER.size : HEADER.size + length])
            del self._buffer[: HEADER.size + length]
            if kind == b"R" and not self.ready.done():
                self.ready.set_result(None)
            elif (phrase := self.phrases.get(number)) is not None:
                phrase.put_nowait(_Message(kind, payload))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:  # stdout: the worker is gone
            self._died()

    def process_exited(self) -> None:
        self._died()
        self.exited.set_result(None)

    def _died(self) -> None:
        self.close()
        if not self.ready.done():
            self.ready.set_result(None)
        for phrase in self.phrases.values():
            phrase.put_nowait(_Message(b"X", b"the worker process died"))
        self.phrases.clear()

    def send(self, kind: bytes, number: int, payload: bytes = b"") -> None:
        pipe = self._transport.get_pipe_transport(0) if self._transport else None
        if pipe is not None and not pipe.is_closing():
            cast(WriteTransport, pipe).write(HEADER.pack(len(payload), kind, number) + payload)

    def close(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.close()


class EspeakSpeech:
    """The :class:`~pipeline.ports.TextToSpeech` of espeak-ng. 22,050 Hz.

    Raises:
        ConfigError: the library is missing; the message says how to mend it.
    """

    def __init__(self, config: EspeakConfig | None = None) -> None:
        self._config = config or EspeakConfig()
        self._command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("espeak_worker.py")), *_paths()]
        self._processes: list[_Process] = []
        self._starting = asyncio.Lock()
        self._number = 0

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
        process = await self._process()
        self._number += 1
        number, messages = self._number, asyncio.Queue[_Message]()
        process.phrases[number] = messages
        job = {"text": text.text, "voice": self._config.voice, "wpm": self._config.words_per_minute}
        process.send(b"S", number, json.dumps(job).encode())
        clock = WordClock(text, SAMPLE_RATE_HZ)
        over = False
        try:
            while (message := await self._next(messages)).kind != b"E":
                if message.kind == b"W":
                    clock.begins(*struct.unpack("!II", message.payload))
                else:
                    samples = np.frombuffer(bytearray(message.payload), dtype=np.int16)
                    yield SpeechChunk(samples, clock.audio(len(samples)))
            over = True
            gap_s = SENTENCE_GAP_S if text.text.endswith((".", "!", "?")) else CLAUSE_GAP_S
            yield SpeechChunk(np.zeros(round(gap_s * SAMPLE_RATE_HZ), dtype=np.int16), clock.finish())
        finally:
            if process.phrases.pop(number, None) is not None and not over:
                process.send(b"C", number)

    async def _next(self, messages: asyncio.Queue[_Message]) -> _Message:
        try:
            async with asyncio.timeout(self._config.timeout_s):
                message = await messages.get()
        except TimeoutError as error:
            raise ProviderTimeout(PROVIDER, f"no audio within {self._config.timeout_s} s") from error
        if message.kind == b"X":
            raise ProviderError(PROVIDER, message.payload.decode(), retryable=True)
        return message

    async def _process(self) -> _Process:
        """A worker for the next phrase: an idle one, else a new one while there may be more, else the least busy."""
        async with self._starting:
            self._processes = [process for process in self._processes if process.alive]
            idle = min(self._processes, key=lambda process: len(process.phrases), default=None)
            if idle is not None and (not idle.phrases or len(self._processes) >= self._config.workers):
                return idle
            process = await self._start()
            self._processes.append(process)
            return process

    async def _start(self) -> _Process:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.timeout_s):
                _, process = await loop.subprocess_exec(_Process, *self._command, stderr=None)
                await process.ready
        except (OSError, TimeoutError) as error:
            raise ProviderError(PROVIDER, f"the worker did not start: {error}", retryable=True) from error
        if not process.alive:
            raise ProviderError(PROVIDER, "the worker ended while it started", retryable=True)
        return process

    async def aclose(self) -> None:
        """End the processes, and return when they have ended."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.close()
        for process in processes:
            await process.exited
