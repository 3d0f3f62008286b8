"""Text to speech by ElevenLabs over its ``stream-input`` WebSocket: lower latency, one socket a phrase.

A socket speaks one phrase and is closed, so late audio of a cancelled phrase dies with its socket and can reach no
other phrase. The cost of opening is paid beforehand: :meth:`ElevenLabsSocketSpeech.keep_warm` holds opened sockets
ready. Own code, because the vendor's client is synchronous and forces TLS.

Source: ElevenLabs API reference, ``/v1/text-to-speech/{voice_id}/stream-input``.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp

from pipeline.adapters.aligned_words import AlignedWords, PcmBytes
from pipeline.adapters.elevenlabs import PROVIDER, ElevenLabsConfig, aligned, decoded
from pipeline.adapters.speech_http import failure, new_session, speakable, translated
from pipeline.ports import SpeechChunk
from voicegate.kernel.audio import duration_s
from voicegate.kernel.errors import ProviderError, ProviderRefused

_IDLE_S = 180
"""Longest ``inactivity_timeout`` that the vendor grants an open socket."""
_SPARE_LIFE_S = 150.0
"""A spare socket older than this is replaced, before the vendor closes it."""
_RETRY_S = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Pauses between failed attempts to open a spare socket."""
_REFUSALS = ("auth", "quota", "payment", "invalid", "not_found", "permission", "unusual_activity", "limit_exceeded")
_POLICY = 1008


@dataclass(frozen=True, slots=True)
class _Spare:
    socket: aiohttp.ClientWebSocketResponse
    opened_s: float


class _Gone(Exception):
    """The socket was closed before it said anything."""


class ElevenLabsSocketSpeech:
    """The :class:`~pipeline.ports.TextToSpeech` of ElevenLabs' WebSocket."""

    def __init__(self, config: ElevenLabsConfig, *, spares: int = 1) -> None:
        self._config = config
        self._wanted = spares
        self._session: aiohttp.ClientSession | None = None
        self._spares: deque[_Spare] = deque()
        self._taken = asyncio.Event()

    @property
    def provider(self) -> str:
        return PROVIDER

    @property
    def sample_rate_hz(self) -> int:
        return self._config.sample_rate_hz

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        if not speakable(phrase):
            return
        spare = self._take(voice)
        try:
            socket = spare or await self._open(voice)
            async with aclosing(self._speak(socket, phrase)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except _Gone as error:
            if spare is None:
                raise ProviderError(PROVIDER, f"closed without an answer: {error}", retryable=True) from error
        # The vendor had closed the spare while it waited. Nothing was said, so a new socket will do.
        async with aclosing(self.stream(phrase, voice=voice, previous_text=previous_text)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def keep_warm(self) -> None:
        """Hold opened sockets of the configured voice ready, for ever. The owner runs this in its TaskGroup."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            self._taken.clear()
            try:
                await self._drop_old(loop.time())
                while len(self._spares) < self._wanted:
                    self._spares.append(_Spare(await self._open(""), loop.time()))
                oldest_s = min((spare.opened_s for spare in self._spares), default=loop.time())
                pause_s = max(0.0, oldest_s + _SPARE_LIFE_S - loop.time())
                failures = 0
            except ProviderError:  # reported by the phrase that meets it
                pause_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
            try:
                async with asyncio.timeout(pause_s):
                    await self._taken.wait()
            except TimeoutError:
                continue

    async def aclose(self) -> None:
        """Close all connections."""
        while self._spares:
            await self._spares.popleft().socket.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _take(self, voice: str) -> aiohttp.ClientWebSocketResponse | None:
        if voice not in ("", self._config.voice):
            return None
        self._taken.set()
        return self._spares.popleft().socket if self._spares else None

    async def _drop_old(self, now_s: float) -> None:
        while self._spares and (self._spares[0].socket.closed or now_s - self._spares[0].opened_s >= _SPARE_LIFE_S):
            await self._spares.popleft().socket.close()

    async def _open(self, voice: str) -> aiohttp.ClientWebSocketResponse:
        config = self._config
        self._session = self._session or new_session(config.connect_s)
        parameters = {
            "model_id": config.model,
            "output_format": config.output_format,
            "inactivity_timeout": str(_IDLE_S),
            "auto_mode": "true",
        }
        with translated(PROVIDER):
            try:
                async with asyncio.timeout(config.connect_s):
                    socket = await self._session.ws_connect(
                        config.url(voice, "stream-input").replace("http", "ws", 1),
                        params=parameters,
                        headers=config.headers,
                        timeout=aiohttp.ClientWSTimeout(ws_close=0.05),  # nobody waits for its goodbye
                        max_msg_size=0,
                    )
            except aiohttp.WSServerHandshakeError as error:
                raise failure(PROVIDER, error.status, error.message) from error
            await socket.send_json({"text": " ", "voice_settings": config.voice_settings})
        return socket

    async def _speak(self, socket: aiohttp.ClientWebSocketResponse, phrase: str) -> AsyncGenerator[SpeechChunk, None]:
        config = self._config
        pcm, words = PcmBytes(), AlignedWords()
        samples_out, deadline_s = 0, config.first_audio_s
        try:
            await _send(socket, {"text": phrase.strip() + " ", "flush": True}, {"text": ""})
            while (message := await self._receive(socket, deadline_s, silent=samples_out == 0)) is not None:
                known = aligned(words, message, audio_s=duration_s(samples_out, config.sample_rate_hz))
                samples = pcm.push(decoded(message.get("audio")))
                samples_out += len(samples)
                if len(samples) or known:
                    deadline_s = config.between_s
                    yield SpeechChunk(samples, known)
                if message.get("isFinal"):
                    break
            if left := words.finish():
                yield SpeechChunk(pcm.push(b""), left)
        finally:
            await socket.close()

    async def _receive(
        self, socket: aiohttp.ClientWebSocketResponse, deadline_s: float, *, silent: bool
    ) -> dict[str, Any] | None:
        """The next message; None: the vendor closed the socket in good order after the last one."""
        with translated(PROVIDER):
            async with asyncio.timeout(deadline_s):
                received = await socket.receive()
        if received.type is aiohttp.WSMsgType.TEXT:
            return _message(received.data)
        if socket.close_code == _POLICY:
            raise ProviderRefused(PROVIDER, f"closed with 1008: {received.extra or received.data}")
        if silent:
            raise _Gone(f"code {socket.close_code}")
        if socket.close_code == aiohttp.WSCloseCode.OK:
            return None
        raise ProviderError(PROVIDER, f"cut off, code {socket.close_code}", retryable=True)


async def _send(socket: aiohttp.ClientWebSocketResponse, *messages: dict[str, Any]) -> None:
    try:
        for message in messages:
            await socket.send_json(message)
    except ConnectionError as error:
        raise _Gone(repr(error)) from error


def _message(data: str) -> dict[str, Any]:
    try:
        message = json.loads(data)
    except ValueError as error:
        raise ProviderError(PROVIDER, "a message that is not JSON", retryable=True) from error
    if not isinstance(message, dict):
        raise ProviderError(PROVIDER, "a message that is no object", retryable=True)
    if message.get("error"):
        text = f"{message['error']}: {message.get('message', '')}"
        if message.get("code") == _POLICY or any(word in str(message["error"]) for word in _REFUSALS):
            raise ProviderRefused(PROVIDER, text)
        raise ProviderError(PROVIDER, text, retryable=True)
    return message
