"""Makes ``docs/console.png``: the console in the middle of a real call. ``python -m tests.e2e.browser.picture [FILE]``.

With ``PYTHONPATH=.:codecs``; needs Chromium.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import ViewportSize, expect

from tests.e2e.browser.chromium import chromium, write_microphone
from tests.e2e.served import ROOT, Served

SCRIPT = (
    5.8,
    "Can I book a viewing for tomorrow?",
    4.6,
    "What time is it?",
    4.2,
    "Wait, what are your opening hours?",
    60.0,
)
SIZE = ViewportSize(width=1240, height=690)
SHARPNESS = 1.25
"""Pixels a pixel: the file stays below 200 KB."""
_PATIENCE_MS = 60_000


async def _take(url: str, microphone: Path, picture: Path) -> None:
    async with chromium(microphone) as browser:
        context = await browser.new_context(viewport=SIZE, device_scale_factor=SHARPNESS, permissions=["microphone"])
        page = await context.new_page()
        await page.goto(url)
        await page.get_by_role("button", name="Call", exact=True).click()
        # A picture of a misheard caller is a poor one: it fails, and can be made again.
        asked = page.locator("#transcript .caller").filter(has_text="a viewing for tomorrow")
        await expect(asked).to_be_visible(timeout=_PATIENCE_MS / 4)
        wish = page.locator("#transcript .caller").filter(has_text="opening hours")
        await expect(wish).to_be_visible(timeout=_PATIENCE_MS)
        await expect(page.locator("#transcript .agent .said").last).not_to_be_empty(timeout=_PATIENCE_MS)
        await asyncio.sleep(1.6)
        await page.screenshot(path=picture)


async def main(picture: Path) -> None:
    with TemporaryDirectory() as folder:
        served = Served(Path(folder) / "gateway")
        microphone = Path(folder) / "microphone.wav"
        await write_microphone(microphone, *SCRIPT)
        served.start()
        try:
            await _take(served.http, microphone, picture)
        finally:
            served.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "console.png"))
