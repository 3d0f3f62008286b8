"""What goes over the wire to a transcription vendor, and what its failures become."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.openai_transcription import OpenAITranscriber, OpenAITranscriptionConfig
from tests.vendors.openai_audio import OpenAIAudioServer
from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ProviderError, ProviderRefused, ProviderTimeout


@pytest.fixture
async def vendor() -> AsyncIterator[OpenAIAudioServer]:
    async with OpenAIAudioServer() as vendor:
        yield vendor


def engine(vendor: OpenAIAudioServer, **settings: Any) -> OpenAITranscriber:
    return OpenAITranscriber(OpenAITranscriptionConfig(api_key="secret", base_url=vendor.base_url, **settings))


def bursts(count: int) -> Samples:
    tone = (np.sin(np.arange(4000) * 0.3) * 8000).astype(np.int16)
    return np.concatenate([np.concatenate([tone, np.zeros(4000, np.int16)]) for _ in range(count)])


async def test_the_segment_arrives_whole_as_wav_with_its_settings(vendor: OpenAIAudioServer) -> None:
    async with engine(vendor, model="whisper-x", prompt="Voicegate") as remote:
        got = await remote.transcribe(bursts(3))
    assert (got.text, got.confidence, got.end_probability) == ("Three.", None, None)
    [heard] = vendor.heard
    assert (heard.rate_hz, heard.channels, heard.duration_s) == (16_000, 1, 1.5)
    assert heard.rms == pytest.approx(8000 / 2, rel=0.02)
    assert heard.authorization == "Bearer secret"
    assert heard.filename.endswith(".wav")
    assert heard.fields["model"] == "whisper-x"
    assert heard.fields["language"] == "en"
    assert heard.fields["prompt"] == "Voicegate"
    assert heard.fields["response_format"] == "json"


async def test_what_is_not_configured_is_not_sent(vendor: OpenAIAudioServer) -> None:
    async with engine(vendor, language="") as remote:
        await remote.transcribe(bursts(1))
    assert not {"language", "prompt", "include[]"} & vendor.heard[0].fields.keys()


async def test_token_probabilities_become_the_confidence(vendor: OpenAIAudioServer) -> None:
    vendor.switches.logprobs = (-0.1, -0.3)
    async with engine(vendor, logprobs=True) as remote:
        assert (await remote.transcribe(bursts(1))).confidence == pytest.approx(-0.2)


async def test_too_short_a_segment_is_not_sent(vendor: OpenAIAudioServer) -> None:
    async with engine(vendor) as remote:
        assert (await remote.transcribe(bursts(1)[:1599])).text == ""
        assert vendor.heard == []
        await remote.transcribe(bursts(1)[:1600])
    assert len(vendor.heard) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (400, None, ProviderRefused, False),
        (401, "invalid_api_key", ProviderRefused, False),
        (403, None, ProviderRefused, False),
        (429, "insufficient_quota", ProviderRefused, False),
        (429, "rate_limit_exceeded", ProviderError, True),
        (500, None, ProviderError, True),
        (503, None, ProviderError, True),
    ],
)
async def test_statuses_become_the_ports_errors_without_a_second_try(
    vendor: OpenAIAudioServer, status: int, code: str | None, kind: type[ProviderError], retryable: bool
) -> None:
    vendor.switches.status, vendor.switches.code = status, code
    async with engine(vendor, provider="acme") as remote:
        with pytest.raises(ProviderError) as caught:
            await remote.transcribe(bursts(1))
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert caught.value.provider == "acme"
    assert caught.value.__cause__ is not None
    assert "secret" not in str(caught.value)
    assert len(vendor.heard) == 1


@pytest.mark.parametrize("switch", ["latency_s", "stall"])
async def test_no_answer_in_time_is_a_timeout(vendor: OpenAIAudioServer, switch: str) -> None:
    setattr(vendor.switches, switch, 30)
    async with engine(vendor, timeout_s=0.2) as remote:
        with pytest.raises(ProviderTimeout):
            await remote.transcribe(bursts(1))


@pytest.mark.parametrize("switch", ["cut", "garbage"])
async def test_a_broken_answer_is_a_retryable_failure(vendor: OpenAIAudioServer, switch: str) -> None:
    setattr(vendor.switches, switch, True)
    async with engine(vendor) as remote:
        with pytest.raises(ProviderError) as caught:
            await remote.transcribe(bursts(1))
    assert caught.value.retryable


async def test_nobody_listening_is_a_retryable_failure() -> None:
    async with OpenAIAudioServer() as gone:
        pass
    async with engine(gone) as remote:
        with pytest.raises(ProviderError) as caught:
            await remote.transcribe(bursts(1))
    assert caught.value.retryable


async def test_requests_under_way_are_bounded(vendor: OpenAIAudioServer) -> None:
    vendor.switches.latency_s = 0.02
    async with engine(vendor, concurrent=2) as remote:
        texts = await asyncio.gather(*(remote.transcribe(bursts(1 + i)) for i in range(6)))
    assert [got.text for got in texts] == ["One.", "Two.", "Three.", "Four.", "Five.", "Six."]
    assert vendor.most_under_way == 2
