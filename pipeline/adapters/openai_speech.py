"""Text to speech by any vendor with OpenAI's ``/audio/speech``: raw PCM, streamed, no word times.

Source: OpenAI API reference, "Create speech", ``response_format`` ``pcm``: 24 kHz mono int16 little-endian.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import aiohttp

from pipeline.adapters.aligned_words import PcmBytes
from pipeline.adapters.speech_http import body_pieces, new_session, speakable, translated
from pipeline.ports import SpeechChunk
from voicegate.kernel.errors import ConfigError

PROVIDER = "openai"


@dataclass(frozen=True, slots=True)
class OpenAISpeechConfig:
    """Raises ConfigError where a value is not allowed."""

    api_key: str = ""
    """Sent as a bearer token; empty for local servers that want none."""
    base_url: str = "https://api.openai.com/v1"
    model: str = "gpt-4o-mini-tts"
    voice: str = "alloy"
    instructions: str = ""
    """How to speak, for models that take it."""
    sample_rate_hz: int = 24_000
    """OpenAI's is 24 kHz; compatible servers may differ."""
    connect_s: float = 3.0
    first_audio_s: float = 6.0
    between_s: float = 3.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(f"openai base_url={self.base_url!r}: it begins with http:// or https://")


class OpenAISpeech:
    """The :class:`~pipeline.ports.TextToSpeech` of ``/audio/speech``. Connections are reused."""

    def __init__(self, config: OpenAISpeechConfig) -> None:
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
        config = self._config
        response = await self._request(phrase, voice)
        body = body_pieces(PROVIDER, response, first_s=config.first_audio_s, between_s=config.between_s)
        pcm = PcmBytes()
        try:
            async with aclosing(body) as pieces:
                async for piece in pieces:
                    samples = pcm.push(piece)
                    if len(samples):
                        yield SpeechChunk(samples)
        finally:
            response.close()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, phrase: str, voice: str) -> aiohttp.ClientResponse:
        config = self._config
        self._session = self._session or new_session(config.connect_s)
        body = {"model": config.model, "voice": voice or config.voice, "input": phrase, "response_format": "pcm"}
        if config.instructions:
            body["instructions"] = config.instructions
        headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
        with translated(PROVIDER):
            async with asyncio.timeout(config.first_audio_s):
                return await self._session.post(
                    f"{config.base_url.rstrip('/')}/audio/speech", headers=headers, json=body
                )
