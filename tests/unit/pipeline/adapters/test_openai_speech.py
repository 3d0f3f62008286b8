"""OpenAI-compatible speech: what is sent."""

import numpy as np
import pytest

from pipeline.adapters.openai_speech import OpenAISpeech, OpenAISpeechConfig
from tests.vendors.openai_speech import OpenAISpeechServer
from voicegate.kernel.errors import ConfigError


async def test_request_and_audio() -> None:
    async with OpenAISpeechServer() as server:
        tts = OpenAISpeech(OpenAISpeechConfig(api_key="key", base_url=server.url, instructions="Be kind."))
        samples = np.concatenate([chunk.samples async for chunk in tts.stream("Hello!", voice="verse")])
        await tts.aclose()
    assert server.requests == [
        {
            "model": "gpt-4o-mini-tts",
            "voice": "verse",
            "input": "Hello!",
            "response_format": "pcm",
            "instructions": "Be kind.",
        }
    ]
    assert tts.sample_rate_hz == 24_000
    assert len(samples) == 24_000 * 6 * 6 // 100


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="http://"):
        OpenAISpeechConfig(base_url="api.openai.com")
