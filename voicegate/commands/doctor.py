"""``voicegate doctor``: checks every dependency, and says how to mend what is missing."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from audiocodecs import libopus
from audiocodecs.framing import Framer
from audiocodecs.resample import resample_whole
from pipeline.adapters import flite
from pipeline.ports import AgentRequest, TextDelta
from pipeline.session_config import Engines
from sessions.config import Config as StateConfig
from sessions.connection import AWAY, open_client
from voicegate import settings as configuration
from voicegate.embedded.redis import RedisConfig, embedded_redis
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import ConfigError, VoicegateError
from voicegate.settings import Settings

_SENTENCE = "The quick brown fox jumps over the lazy dog."
_REMEDIES = {
    "redis": "set REDIS_URL to a Redis that answers, or leave it empty for the embedded one",
    "port": "stop the other program, or choose another port with VOICEGATE_PORT",
    "opus": "pip install --force-reinstall av, or sudo apt-get install libopus0",
    "voice": "sudo apt-get install libflite1 (better voice), or set VOICEGATE_TTS",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    state: str
    """ok, weak or broken."""
    detail: str
    remedy: str = ""


def doctor() -> None:
    """Check settings, Redis, engines and port; exit code 1 if a call could not be taken."""
    findings = uvloop.run(examine())
    table = Table("check", "", "found", "how to mend it", title="voicegate doctor")
    marks = {"ok": "[green]ok[/]", "weak": "[yellow]weak[/]", "broken": "[red]broken[/]"}
    for finding in findings:
        table.add_row(finding.name, marks[finding.state], finding.detail, finding.remedy)
    Console().print(table)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


async def examine() -> list[Finding]:
    """All findings, in the order of a call."""
    # Here and not above, as in `_engines`: no other command needs the engines, which take seconds to load.
    from voicegate.app import gateway_settings

    version = ".".join(map(str, sys.version_info[:3]))
    findings = [Finding("python", "ok", version)]
    try:
        settings = configuration.load()
        gateway_settings(settings)
    except ConfigError as error:
        return [*findings, Finding("settings", "broken", str(error), "see docs/configuration.md")]
    findings.append(Finding("settings", "ok", "valid"))
    findings.append(await _checked("redis", lambda: _redis(settings)))
    findings.append(await _checked("port", lambda: _port(settings)))
    findings.append(await _checked("opus", _opus))
    findings += await _engines(settings)
    return findings


async def _checked(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await check()
    except (VoicegateError, *AWAY) as error:
        return Finding(name, "broken", str(error) or type(error).__name__, _REMEDIES.get(name, ""))


async def _redis(settings: Settings) -> Finding:
    async with embedded_redis(RedisConfig(settings.redis_url, settings.data_dir / "redis")) as url:
        client = open_client(url, StateConfig())
        try:
            information = await client.info("server")
        finally:
            await client.aclose()
    return Finding("redis", "ok", f"{information['redis_version']} at {url}")


async def _port(settings: Settings) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))
    return Finding("port", "ok", f"{settings.host}:{settings.port} is free")


async def _opus() -> Finding:
    return Finding("opus", "ok", libopus.version())


async def _engines(settings: Settings) -> list[Finding]:
    from voicegate.engines import open_engines

    async with AsyncExitStack() as stack:
        try:
            engines = await open_engines(settings, stack)
        except ConfigError as error:
            return [Finding("engines", "broken", str(error))]
        return [
            await _checked("voice", lambda: _voice(engines, settings)),
            await _checked("speech to text", lambda: _ears(engines, settings)),
            await _checked("agent", lambda: _agent(engines)),
        ]


async def _voice(engines: Engines, settings: Settings) -> Finding:
    samples, first_ms = await _spoken(engines)
    detail = f"{engines.tts.provider}: first audio after {first_ms:.0f} ms, {len(samples)} samples"
    if settings.tts == "auto" and not flite.available():
        return Finding("voice", "weak", detail, _REMEDIES["voice"])
    return Finding("voice", "ok", detail)


async def _spoken(engines: Engines) -> tuple[Samples, float]:
    clock, chunks, first_ms = SystemClock(), [], 0.0
    since = clock.monotonic()
    async for chunk in engines.tts.stream(_SENTENCE):
        first_ms = first_ms or (clock.monotonic() - since) * 1000
        chunks.append(chunk.samples)
    return np.concatenate(chunks), first_ms


async def _ears(engines: Engines, settings: Settings) -> Finding:
    """Speech to text hears what the voice says."""
    samples, _ = await _spoken(engines)
    heard = resample_whole(samples, engines.tts.sample_rate_hz, PIPELINE_RATE_HZ)
    stream = engines.stt.open(language=settings.language)
    try:
        for frame in Framer(PIPELINE_RATE_HZ).push(heard):
            stream.push(frame)
        stream.mark(1)
        async with asyncio.timeout(30):
            async for hypothesis in stream:
                if hypothesis.mark == 1:
                    text = hypothesis.transcription.text
                    state = "ok" if "fox" in text.lower() else "weak"
                    return Finding("speech to text", state, f"{engines.stt.provider} heard: {text!r}")
    finally:
        await stream.aclose()
    return Finding("speech to text", "broken", f"{engines.stt.provider} gave no text")


async def _agent(engines: Engines) -> Finding:
    request = AgentRequest("doctor", (), "", kind="greeting")
    text = "".join([part.text async for part in engines.agent.reply(request) if isinstance(part, TextDelta)])
    return Finding("agent", "ok" if text else "broken", f"{engines.agent.provider} says: {text.strip()!r}")
