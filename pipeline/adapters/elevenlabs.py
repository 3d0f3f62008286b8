"""What both ways of speaking through ElevenLabs share: configuration, and the shape of an alignment.

Source: ElevenLabs API reference, "Stream speech with timing" and "Text to speech WebSocket".
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pipeline.adapters.aligned_words import AlignedWords
from pipeline.ports import WordTime
from voicegate.kernel.errors import ConfigError, ProviderError

PROVIDER = "elevenlabs"
_RATES = (16_000, 22_050, 24_000, 44_100)


@dataclass(frozen=True, slots=True)
class ElevenLabsConfig:
    """Raises ConfigError where a value is not allowed."""

    api_key: str
    voice: str = "21m00Tcm4TlvDq8ikWAM"
    """Voice id used where the agent names none."""
    model: str = "eleven_flash_v2_5"
    base_url: str = "https://api.elevenlabs.io"
    """``http://`` or ``https://``; the WebSocket goes to the same host as ``ws://`` or ``wss://``."""
    sample_rate_hz: int = 16_000
    """16000, 22050, 24000 or 44100, asked for as ``pcm_*``."""
    stability: float = 0.5
    similarity_boost: float = 0.8
    connect_s: float = 3.0
    first_audio_s: float = 5.0
    """From the request to the first audio."""
    between_s: float = 3.0
    """Between two pieces of audio."""

    def __post_init__(self) -> None:
        if self.sample_rate_hz not in _RATES:
            allowed = ", ".join(map(str, _RATES))
            raise ConfigError(f"elevenlabs sample_rate_hz={self.sample_rate_hz}: allowed are {allowed}")
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(f"elevenlabs base_url={self.base_url!r}: it begins with http:// or https://")

    @property
    def headers(self) -> dict[str, str]:
        return {"xi-api-key": self.api_key}

    @property
    def output_format(self) -> str:
        return f"pcm_{self.sample_rate_hz}"

    @property
    def voice_settings(self) -> dict[str, float]:
        return {"stability": self.stability, "similarity_boost": self.similarity_boost}

    def url(self, voice: str, path: str) -> str:
        """Address of a text-to-speech call of a voice (the configured one if empty)."""
        return f"{self.base_url.rstrip('/')}/v1/text-to-speech/{quote(voice or self.voice, safe='')}/{path}"


def aligned(words: AlignedWords, message: Mapping[str, Any], *, audio_s: float) -> tuple[WordTime, ...]:
    """Words that a message's alignment completes; none where it has no alignment.

    Takes the spelling of the HTTP stream (seconds, start and end) and both spellings of the WebSocket's durations
    (milliseconds, ``charDurationsMs`` and ``charsDurationsMs``). The text as given is preferred to the normalised.
    """
    alignment = message.get("alignment") or message.get("normalizedAlignment") or message.get("normalized_alignment")
    if not alignment:
        return ()
    if "characters" in alignment:
        starts_s = alignment.get("character_start_times_seconds") or []
        ends_s = alignment.get("character_end_times_seconds") or []
        return words.push(alignment["characters"], starts_s, ends_s, audio_s=audio_s)
    starts_ms: Sequence[float] = alignment.get("charStartTimesMs") or []
    durations_ms: Sequence[float] = alignment.get("charDurationsMs") or alignment.get("charsDurationsMs") or []
    starts_s = [ms / 1000 for ms in starts_ms]
    ends_s = [(start + length) / 1000 for start, length in zip(starts_ms, durations_ms, strict=False)]
    return words.push(alignment.get("chars") or [], starts_s, ends_s, audio_s=audio_s)


def decoded(audio: str | None) -> bytes:
    """PCM bytes of a message's audio; empty where it has none."""
    try:
        return base64.b64decode(audio or "", validate=True)
    except binascii.Error as error:
        raise ProviderError(PROVIDER, "audio that is not base64", retryable=True) from error
