"""Text to speech by ElevenLabs over HTTP: one request a phrase, JSON lines with audio and character times.

Source: ElevenLabs API reference, ``POST /v1/text-to-speech/{voice_id}/stream/with-timestamps``.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp

from pipeline.adapters.aligned_words import AlignedWords, PcmBytes
from pipeline.adapters.elevenlabs import PROVIDER, ElevenLabsConfig, aligned, decoded
from pipeline.adapters.speech_http import body_pieces, new_session, speakable, translated
from pipeline.ports import SpeechChunk
from voicegate.kernel.audio import duration_s
from voicegate.kernel.errors import ProviderError

_LINE_BYTES = 8 * 1024 * 1024
"""A line holds a piece of a phrase of 300 characters; the longest conceivable is below 2 MB."""


class ElevenLabsHttpSpeech:
    """The :class:`~pipeline.ports.TextToSpeech` of ElevenLabs' HTTP stream. Connections are reused."""

    def __init__(self, config: ElevenLabsConfig) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

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
        response = await self._request(phrase, voice, previous_text)
        pcm, words = PcmBytes(), AlignedWords()
        samples_out = 0
        try:
            async with aclosing(self._messages(response)) as messages:
                async for message in messages:
                    known = aligned(words, message, audio_s=duration_s(samples_out, self.sample_rate_hz))
                    samples = pcm.push(decoded(message.get("audio_base64")))
                    samples_out += len(samples)
                    if len(samples) or known:
                        yield SpeechChunk(samples, known)
            if left := words.finish():
                yield SpeechChunk(pcm.push(b""), left)
        finally:
            response.close()  # reusable if read to the end, else cut: the vendor stops speaking

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, phrase: str, voice: str, previous_text: str) -> aiohttp.ClientResponse:
        config = self._config
        self._session = self._session or new_session(config.connect_s)
        body: dict[str, Any] = {"text": phrase, "model_id": config.model, "voice_settings": config.voice_settings}
        if previous_text:
            body["previous_text"] = previous_text
        with translated(PROVIDER):
            async with asyncio.timeout(config.first_audio_s):
                return await self._session.post(
                    config.url(voice, "stream/with-timestamps"),
                    params={"output_format": config.output_format},
                    headers=config.headers,
                    json=body,
                )

    async def _messages(self, response: aiohttp.ClientResponse) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON lines, each as soon as its end has come."""
        config = self._config
        body = body_pieces(PROVIDER, response, first_s=config.first_audio_s, between_s=config.between_s)
        buffer = b""
        async with aclosing(body) as pieces:
            async for piece in pieces:
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield _message(line)
                if len(buffer) > _LINE_BYTES:
                    raise ProviderError(PROVIDER, "a line without end", retryable=True)
        if buffer.strip():
            yield _message(buffer)


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError as error:
        raise ProviderError(PROVIDER, "the stream broke off within a line", retryable=True) from error
    if not isinstance(message, dict):
        raise ProviderError(PROVIDER, "a line that is no object", retryable=True)
    return message
