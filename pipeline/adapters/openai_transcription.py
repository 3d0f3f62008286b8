"""Speech to text by any vendor or server that speaks OpenAI's ``POST /v1/audio/transcriptions``.

Source: OpenAI API reference, "Create transcription". vLLM, Speaches, LocalAI, Groq and others answer the same call.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import openai
from openai.types.audio import Transcription as OpenAITranscription

from audiocodecs.wav import encode_wav
from pipeline.adapters.model_errors import provider_error
from pipeline.ports import Transcription
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.errors import ProviderError

_SHORTEST_SAMPLES = PIPELINE_RATE_HZ // 10
"""OpenAI refuses audio below 0.1 s (``audio_too_short``)."""


@dataclass(frozen=True, slots=True)
class OpenAITranscriptionConfig:
    api_key: str
    base_url: str = "https://api.openai.com/v1"
    model: str = "gpt-4o-mini-transcribe"
    language: str = "en"
    """ISO 639-1; empty: the model finds out, slower."""
    prompt: str = ""
    """Words to expect: names of products and people."""
    logprobs: bool = False
    """Ask for token log-probabilities. Only the gpt-4o family has them; other servers refuse or ignore the wish."""
    timeout_s: float = 8.0
    """From the request to the whole answer."""
    concurrent: int = 16
    """Requests under way at the same time; further ones wait."""
    provider: str = "openai"
    """The name in errors, usage and metrics."""


class OpenAITranscriber:
    """A :class:`~pipeline.ports.SegmentTranscriber`; ``async with`` closes its connections.

    Requests are not repeated here: whoever holds the engine decides that.
    """

    def __init__(self, config: OpenAITranscriptionConfig) -> None:
        self._config = config
        self._client = openai.AsyncOpenAI(
            api_key=config.api_key, base_url=config.base_url, timeout=config.timeout_s, max_retries=0
        )
        self._slots = asyncio.Semaphore(config.concurrent)

    @property
    def provider(self) -> str:
        return self._config.provider

    async def aclose(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def transcribe(
        self, samples: Samples, *, draft: Transcription | None = None, interim: bool = False
    ) -> Transcription:
        """Transcribe one segment, 16 kHz mono int16, sent as a WAV file. Less than 0.1 s holds no word and is not sent.

        The vendor takes no draft, and interims are as good to it as others.

        Raises:
            ProviderTimeout: no whole answer within ``timeout_s``; the wait for a free slot does not count.
            ProviderRefused: key, quota or input.
            ProviderError: anything else, retryable for 5xx and broken connections.
        """
        if self._client.is_closed():
            raise ProviderError(self.provider, "the engine is closed", retryable=False)
        if samples.size < _SHORTEST_SAMPLES:
            return Transcription("")
        async with self._slots:
            try:
                async with asyncio.timeout(self._config.timeout_s):
                    answer = await self._ask(encode_wav(samples, PIPELINE_RATE_HZ))
            except (openai.OpenAIError, TimeoutError, ConnectionError, ValueError) as error:
                raise provider_error(self.provider, error) from error
        known = [token.logprob for token in answer.logprobs or () if token.logprob is not None]
        return Transcription(answer.text.strip(), sum(known) / len(known) if known else None)

    async def _ask(self, wav: bytes) -> OpenAITranscription:
        config = self._config
        return await self._client.audio.transcriptions.create(
            file=("speech.wav", wav, "audio/wav"),
            model=config.model,
            response_format="json",
            temperature=0.0,
            language=config.language or openai.omit,
            prompt=config.prompt or openai.omit,
            include=["logprobs"] if config.logprobs else openai.omit,
        )
