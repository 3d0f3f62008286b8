"""Pages that are not ours: a customer's own, and one with a published WHIP client."""

import asyncio
import time
import uuid

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser.chromium import ANSWER, QUESTION, Tab, tab
from tests.e2e.browser.stage import PATIENCE_MS, Stage, scenes
from tests.e2e.served import Served
from tests.e2e.voices import is_understood, words

PATIENCE_S = 45.0


async def stored(served: Served, session_id: str, word: str) -> None:
    """The agent's answer with this word is in the store."""
    until = time.monotonic() + PATIENCE_S
    while word not in words(served.said(session_id, "agent")):
        assert time.monotonic() < until, served.transcript(session_id)
        await asyncio.sleep(0.1)


async def heard(stage: Stage, opened: Tab, word: str) -> str:
    """What a listener understands of all that the page played, once the word is in it."""
    text = ""
    for _ in range(12):
        text = await stage.understood(await opened.heard())
        if word in words(text):
            return text
        await asyncio.sleep(0.5)
    raise AssertionError(f"{word!r} was not heard in {text!r}")


async def state(page: Page, text: str) -> None:
    await expect(page.locator("#state")).to_contain_text(text, timeout=PATIENCE_MS)


@scenes.add
async def a_customers_own_page(stage: Stage) -> None:
    """A recorder's chunks up, whole files down, played as they come."""
    # After "Stop" the recorder's last chunk finds no socket; a page like this one does not care.
    async with tab(stage.browser, expected=("WebSocket is already in CLOSING",)) as opened:
        page = opened.page
        await page.goto(f"{stage.pages}/customer-page/index.html?gateway={stage.gateway}")
        await page.get_by_role("button", name="Talk").click()
        await state(page, "Connected, call ")
        session_id = (await page.locator("#state").inner_text()).removeprefix("Connected, call ")
        await stored(stage.served, session_id, ANSWER)
        await heard(stage, opened, ANSWER)
        await page.get_by_role("button", name="Stop").click()
        await state(page, "Not connected")
    asked = stage.served.said(session_id, "user")
    assert is_understood(QUESTION, asked), asked


@scenes.add
async def a_published_whip_client(stage: Stage) -> None:
    """Trickle, ETag, both directions, DELETE: by code that we did not write."""
    if not stage.whip_client:
        pytest.skip("npm is not installed (Debian: apt-get install npm)")
    session_id = str(uuid.uuid4())
    async with tab(stage.browser) as opened:
        page = opened.page
        await page.goto(f"{stage.pages}/here/whip_page.html?gateway={stage.gateway}&session={session_id}")
        await state(page, "connected")
        await stored(stage.served, session_id, ANSWER)
        await heard(stage, opened, ANSWER)
        await page.evaluate("hangUp()")
    asked = stage.served.said(session_id, "user")
    assert is_understood(QUESTION, asked), asked
    async with asyncio.timeout(PATIENCE_S):
        while not any(type(event).__name__ == "SessionEnded" for event in stage.served.events(session_id)):
            await asyncio.sleep(0.1)
