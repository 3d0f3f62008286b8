"""Agents on any endpoint that speaks OpenAI's chat completions: OpenAI, Azure OpenAI v1, vLLM, Ollama, llama.cpp.

Source: the Chat Completions API reference, ``openai`` 3.52, ``OpenAIChatCompletionsModel`` of ``openai-agents`` 0.24.
A caller hears every pause, so the wait for the first token and the wait between tokens are bounded apart, and nothing
is retried in silence here: what to do after a failure is decided where the call is known.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx2
from agents import Model, ModelResponse, ModelSettings, OpenAIChatCompletionsModel
from agents.items import TResponseStreamEvent
from openai import AsyncOpenAI

from voicegate.kernel.errors import ProviderTimeout


@dataclass(frozen=True, slots=True)
class OpenAICompatibleConfig:
    """One endpoint and one model on it."""

    base_url: str
    """With the version, for example ``https://api.openai.com/v1``."""
    model: str
    api_key: str = field(default="none", repr=False)
    """Local servers take anything."""
    provider: str = "openai"
    """Name in events, metrics and errors."""
    connect_timeout_s: float = 3.0
    first_token_timeout_s: float = 8.0
    """From sending the request to the first word or tool argument."""
    token_gap_timeout_s: float = 4.0
    """Longest pause between two events after that."""
    temperature: float | None = None
    max_tokens: int | None = 400
    """Bound of one answer: a spoken reply needs a tenth of it. None: the server's own."""
    report_usage: bool = True
    """Ask for token counts (``stream_options``), which a few servers refuse."""


class OpenAICompatible:
    """The endpoint's client and model. One a process; close it when done."""

    def __init__(self, config: OpenAICompatibleConfig) -> None:
        timeout = httpx2.Timeout(config.first_token_timeout_s + 1.0, connect=config.connect_timeout_s)
        self._client = AsyncOpenAI(base_url=config.base_url, api_key=config.api_key, max_retries=0, timeout=timeout)
        inner = OpenAIChatCompletionsModel(model=config.model, openai_client=self._client)
        self._model = DeadlineModel(inner, config)
        self._settings = ModelSettings(
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            include_usage=True if config.report_usage else None,
        )
        self._provider = config.provider

    @property
    def provider(self) -> str:
        return self._provider

    @property
    def model(self) -> Model:
        """For ``AgentsSdkAgent(model=...)``."""
        return self._model

    @property
    def settings(self) -> ModelSettings:
        """For ``AgentsSdkAgent(settings=...)``."""
        return self._settings

    async def aclose(self) -> None:
        await self._client.close()


class DeadlineModel(Model):
    """Another model with bounded waits.

    Raises:
        ProviderTimeout: the first token, or the next one, did not come in time.
    """

    def __init__(self, inner: Model, config: OpenAICompatibleConfig) -> None:
        self._inner = inner
        self._config = config

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._inner.get_response(*args, **kwargs)

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        now = asyncio.get_running_loop().time
        deadline, started = now() + self._config.first_token_timeout_s, False
        stream: Any = self._inner.stream_response(*args, **kwargs)
        async with aclosing(stream) as events:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        event: TResponseStreamEvent = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise ProviderTimeout(self._config.provider, self._late(started)) from None
                started = started or event.type.endswith(".delta")
                yield event
                if started:  # the time our own consumer took is not the provider's
                    deadline = now() + self._config.token_gap_timeout_s

    def _late(self, started: bool) -> str:
        if started:
            return f"no token for {self._config.token_gap_timeout_s:g} s"
        return f"no first token within {self._config.first_token_timeout_s:g} s"
