"""Builds the engines that the settings name. An engine lives as long as the exit stack it is entered on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.adapters import espeak, flite
from pipeline.adapters.demo_agent import DemoParts, build_demo
from pipeline.adapters.elevenlabs import ElevenLabsConfig
from pipeline.adapters.elevenlabs_http import ElevenLabsHttpSpeech
from pipeline.adapters.elevenlabs_ws import ElevenLabsSocketSpeech
from pipeline.adapters.faster_whisper import FasterWhisperConfig, FasterWhisperTranscriber
from pipeline.adapters.moonshine import MoonshineConfig, MoonshineTranscriber
from pipeline.adapters.openai_compatible import OpenAICompatible, OpenAICompatibleConfig
from pipeline.adapters.openai_speech import OpenAISpeech, OpenAISpeechConfig
from pipeline.adapters.openai_transcription import OpenAITranscriber, OpenAITranscriptionConfig
from pipeline.adapters.segmented import SegmentedConfig, SegmentedSpeechToText
from pipeline.adapters.silero import SileroVoiceActivity
from pipeline.adapters.webrtc_vad import WebrtcVoiceActivity
from pipeline.allowance import Allowance
from pipeline.ports import Agent, AgentRequest, SpeechToText, TextToSpeech, VoiceActivity
from pipeline.session_config import Engines
from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings

_REMOTE_INTERIM_S = 1.5
"""Interim text of a paid endpoint costs a request each."""


async def open_engines(settings: Settings, stack: AsyncExitStack, allowance: Allowance | None = None) -> Engines:
    """The four engines, loaded and warm. ``allowance`` tells speech to text whether it may decode interims.

    Raises:
        ConfigError: an engine cannot be had: a key, a file or a library is missing. The message says how to mend it.
    """
    return Engines(
        vad=await _voice_activity(settings, stack),
        stt=await _speech_to_text(settings, stack, allowance),
        agent=await _agent(settings, stack),
        tts=await _text_to_speech(settings, stack),
    )


async def _voice_activity(settings: Settings, stack: AsyncExitStack) -> VoiceActivity:
    if settings.vad == "webrtc":
        return WebrtcVoiceActivity()
    return await stack.enter_async_context(SileroVoiceActivity())


async def _speech_to_text(settings: Settings, stack: AsyncExitStack, allowance: Allowance | None) -> SpeechToText:
    match settings.stt:
        case "moonshine":
            config = MoonshineConfig(workers=settings.stt_workers)
            moonshine = await stack.enter_async_context(MoonshineTranscriber(config))
            return SegmentedSpeechToText(moonshine, provider="moonshine", allowance=allowance)
        case "faster-whisper":
            whisper = await stack.enter_async_context(FasterWhisperTranscriber(_whisper(settings)))
            segmented = SegmentedConfig(interim_every_s=1.0, languages=())
            return SegmentedSpeechToText(whisper, segmented, provider="faster-whisper", allowance=allowance)
        case "openai":
            remote = await stack.enter_async_context(OpenAITranscriber(_transcription(settings)))
            segmented = SegmentedConfig(interim_every_s=_REMOTE_INTERIM_S, languages=())
            return SegmentedSpeechToText(remote, segmented, provider="openai", allowance=allowance)


def _whisper(settings: Settings) -> FasterWhisperConfig:
    if not settings.stt_model:
        raise ConfigError("VOICEGATE_STT_MODEL: faster-whisper needs a local folder or the name of a model")
    return FasterWhisperConfig(
        settings.stt_model,
        language=settings.language,
        workers=settings.stt_workers,
        download=not Path(settings.stt_model).is_dir(),
    )


def _transcription(settings: Settings) -> OpenAITranscriptionConfig:
    key = _openai_key(settings, "VOICEGATE_STT")
    config = OpenAITranscriptionConfig(key, settings.openai_base_url, language=settings.language)
    return replace(config, model=settings.stt_model or config.model)


async def _agent(settings: Settings, stack: AsyncExitStack) -> Agent:
    if settings.agent == "local":
        local = build_demo()
        # The first reply of a process builds indices and schemas for some 0.2 s; a caller should not wait for them.
        async for _ in local.reply(AgentRequest("warm-up", (), "", kind="greeting")):
            pass
        return local
    remote = OpenAICompatible(
        OpenAICompatibleConfig(settings.openai_base_url, settings.agent_model, _openai_key(settings, "VOICEGATE_AGENT"))
    )
    stack.push_async_callback(remote.aclose)
    return build_demo(parts=DemoParts(model=remote.model, settings=remote.settings, provider=remote.provider))


def open_models(settings: Settings, stack: AsyncExitStack) -> Callable[[str], OpenAICompatible] | None:
    """Language models of the configured endpoint by name (empty: the configured one), made when first asked for. None:
    agents work by rules."""
    if settings.agent == "local":
        return None
    opened: dict[str, OpenAICompatible] = {}

    def find(name: str) -> OpenAICompatible:
        name = name or settings.agent_model
        if name not in opened:
            key = _openai_key(settings, "VOICEGATE_AGENT")
            opened[name] = OpenAICompatible(OpenAICompatibleConfig(settings.openai_base_url, name, key))
            stack.push_async_callback(opened[name].aclose)
        return opened[name]

    return find


async def _text_to_speech(settings: Settings, stack: AsyncExitStack) -> TextToSpeech:
    match settings.tts:
        case "elevenlabs" | "elevenlabs-http":
            return await _elevenlabs(settings, stack)
        case "openai":
            config = OpenAISpeechConfig(_openai_key(settings, "VOICEGATE_TTS"), settings.openai_base_url)
            speech = OpenAISpeech(
                replace(config, model=settings.tts_model or config.model, voice=settings.voice or config.voice)
            )
            stack.push_async_callback(speech.aclose)
            return speech
        case "flite":
            return _flite(settings, stack)
        case "espeak":
            return _espeak(settings, stack)
        case "auto":
            return _flite(settings, stack) if flite.available() else _espeak(settings, stack)


def _flite(settings: Settings, stack: AsyncExitStack) -> TextToSpeech:
    speech = flite.FliteSpeech(flite.FliteConfig(voice=settings.voice or "rms"))
    stack.push_async_callback(speech.aclose)
    return speech


def _espeak(settings: Settings, stack: AsyncExitStack) -> TextToSpeech:
    speech = espeak.EspeakSpeech(espeak.EspeakConfig(voice=settings.voice or "en-us"))
    stack.push_async_callback(speech.aclose)
    return speech


async def _elevenlabs(settings: Settings, stack: AsyncExitStack) -> TextToSpeech:
    key = settings.elevenlabs_api_key.get_secret_value()
    if not key:
        raise ConfigError("ELEVENLABS_API_KEY: VOICEGATE_TTS=elevenlabs needs a key")
    config = ElevenLabsConfig(api_key=key, base_url=settings.elevenlabs_base_url)
    config = replace(config, model=settings.tts_model or config.model, voice=settings.voice or config.voice)
    if settings.tts == "elevenlabs-http":
        stream = ElevenLabsHttpSpeech(config)
        stack.push_async_callback(stream.aclose)
        return stream
    sockets = ElevenLabsSocketSpeech(config)
    stack.push_async_callback(sockets.aclose)
    await stack.enter_async_context(_running(sockets.keep_warm()))
    return sockets


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let ``work`` run beside whatever happens inside."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield
        finally:
            task.cancel()


def _openai_key(settings: Settings, wanted_by: str) -> str:
    """The key; local servers want none, so only OpenAI's own address needs one."""
    key = settings.openai_api_key.get_secret_value()
    if not key and "api.openai.com" in settings.openai_base_url:
        raise ConfigError(f"OPENAI_API_KEY: {wanted_by}=openai needs a key for {settings.openai_base_url}")
    return key or "none"
