"""A real Chromium, driven by playwright, whose microphone is a sound file."""

import base64
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from audiocodecs.media import MediaDecoder
from audiocodecs.resample import resample_whole
from tests.e2e.voices import spoken
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WHY_NOT = "Chromium is not installed (Debian: apt-get install chromium)"

QUESTION = "What are your opening hours?"
ANSWER = "monday"
"""A word of the answer."""
BEFORE_S = 2.6
"""The caller interrupts the greeting, which lasts five seconds."""
AFTER_S = 9.5
"""The file is repeated at its end: on a busy machine the sound of a browser breaks up, and people ask again."""
_RATE_HZ = 48_000
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
_TAP = (Path(__file__).parent / "tap.js").read_text()


async def write_microphone(file: Path, *script: str | float) -> None:
    """A caller who says these texts and is silent for these seconds: 48 kHz mono, as Chromium wants it."""
    parts = [
        await spoken(part) if isinstance(part, str) else np.zeros(round(part * PIPELINE_RATE_HZ), np.int16)
        for part in script
    ]
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE_HZ)
        out.writeframes(resample_whole(np.concatenate(parts), PIPELINE_RATE_HZ, _RATE_HZ).tobytes())


@asynccontextmanager
async def chromium(microphone: Path) -> AsyncIterator[Browser]:
    """One browser for many tabs. Its microphone begins anew for each tab that opens it."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM, args=[*_FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Tab:
    """A page in a context of its own, and what it complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def heard(self) -> Samples:
        """All that the page has played so far, mono int16 at 16 kHz."""
        recorded = base64.b64decode(await self.page.evaluate("voicegateTap.recorded()"))
        decoder = MediaDecoder()
        return np.concatenate([decoder.push(recorded).samples, decoder.flush()])


@asynccontextmanager
async def tab(
    browser: Browser,
    *,
    microphone: bool = True,
    width: int = 1280,
    height: int = 760,
    dark: bool = False,
    expected: tuple[str, ...] = (),
    calm: bool = True,
) -> AsyncIterator[Tab]:
    """A new page. ``expected`` complaints contain one of these; any other one fails the test at the end.
    ``calm``: as for people who want no motion; without a graphics card the drawing of many tabs keeps the machine busy.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if calm else "no-preference",
        permissions=["microphone"] if microphone else [],
    )
    try:
        await context.add_init_script(_TAP)
        opened = Tab(await context.new_page())
        opened.page.on("pageerror", lambda error: opened.complaints.append(f"error: {error}"))
        opened.page.on(
            "console",
            lambda message: opened.complaints.append(message.text) if message.type in ("error", "warning") else None,
        )
        yield opened
        left = [text for text in opened.complaints if not any(part in text for part in expected)]
        assert not left, left
    finally:
        await context.close()
