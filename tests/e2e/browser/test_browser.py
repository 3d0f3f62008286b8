"""Calls from a real Chromium: the console, a customer's own page, a published WHIP client.

The scenes are played some at a time, in one browser and against one gateway; each test tells how its scene went.
"""

import asyncio

import pytest

import tests.e2e.browser.module_scenes
import tests.e2e.browser.page_scenes  # noqa: F401 - both put their scenes on the list
from tests.e2e.browser import console_scenes
from tests.e2e.browser.chromium import CHROMIUM, WHY_NOT
from tests.e2e.browser.stage import scenes, staged
from tests.e2e.scenes import tell
from tests.e2e.served import Served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT),
    pytest.mark.timeout(400),  # the first one waits for all of them
]

Outcomes = dict[str, BaseException | None]


@pytest.fixture(scope="module")
def outcomes(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    async def play() -> Outcomes:
        async with staged(served, tmp_path_factory.mktemp("browser")) as stage:
            loading = (await asyncio.gather(console_scenes.load_times(stage), return_exceptions=True))[0]
            return {"load_times": loading, **await scenes.perform(stage)}

    return asyncio.run(play())


@pytest.mark.parametrize("scene", ["load_times", *scenes.names])
def test_scene(outcomes: Outcomes, scene: str) -> None:
    tell(outcomes[scene])


def test_no_call_left_a_traceback(served: Served, outcomes: Outcomes) -> None:
    assert outcomes
    assert "Traceback" not in served.log
