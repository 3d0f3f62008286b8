"""What all scenes in the browser share: one gateway, one browser, one server of other people's pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from playwright.async_api import Browser

from pipeline.adapters.moonshine import MoonshineConfig, MoonshineTranscriber
from tests.e2e.browser.chromium import AFTER_S, BEFORE_S, QUESTION, chromium, write_microphone
from tests.e2e.browser.published import whip_client
from tests.e2e.scenes import Scenes
from tests.e2e.served import ROOT, Served
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

PATIENCE_MS = 45_000
_LONGEST_S = 14
"""Of what is transcribed at once."""
_AT_ONCE = 4
"""Tabs; each has a process that records, plays and draws without a graphics card."""


@dataclass(frozen=True)
class Stage:
    served: Served
    browser: Browser
    pages: str
    """Address of the customer's page and of others that are not the gateway's."""
    whip_client: bool
    """The published WHIP client could be had."""
    ears: MoonshineTranscriber

    async def understood(self, samples: Samples) -> str:
        """What speech to text makes of 16 kHz audio of any length."""
        step = _LONGEST_S * PIPELINE_RATE_HZ
        texts = [(await self.ears.transcribe(samples[at : at + step])).text for at in range(0, samples.size, step)]
        return " ".join(texts)

    @property
    def gateway(self) -> str:
        """Host and port."""
        return f"localhost:{self.served.port}"


scenes: Scenes[[Stage]] = Scenes(_AT_ONCE)


async def _no_icon(_request: web.Request) -> web.Response:
    return web.Response(status=204)


@asynccontextmanager
async def staged(served: Served, folder: Path) -> AsyncIterator[Stage]:
    """The stage, with a microphone's sound in ``folder``."""
    microphone = folder / "microphone.wav"
    await write_microphone(microphone, BEFORE_S, QUESTION, AFTER_S)
    package = whip_client()
    application = web.Application()
    application.router.add_get("/favicon.ico", _no_icon)
    application.router.add_static("/customer-page/", ROOT / "examples" / "customer-page")
    application.router.add_static("/here/", Path(__file__).parent)
    if package is not None:
        application.router.add_static("/whip-whep/", package)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with (
            MoonshineTranscriber(MoonshineConfig(workers=1)) as ears,
            chromium(microphone) as browser,
        ):
            yield Stage(served, browser, f"http://localhost:{site.port}", package is not None, ears)
    finally:
        await runner.cleanup()
