"""What holds for all tests."""

import asyncio
import gc
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import settings

if TYPE_CHECKING:
    from pipeline.adapters.moonshine import MoonshineTranscriber

# A machine that stops for a second is no counterexample: what must be quick has a bound of its own in its test.
settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")

# By default structlog draws all variables of all frames: ten seconds for one traceback of a request. A test that
# configures logs puts this back.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and thousands of tests stay to the end: the collector looks at them neither now nor in any test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test come first: at the end nobody waits for one that began last."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def moonshine() -> "Iterator[MoonshineTranscriber]":
    """Speech to text, loaded once: it keeps nothing of a segment and belongs to no event loop."""
    from pipeline.adapters.moonshine import MoonshineTranscriber  # most tests need not wait for it

    engine = MoonshineTranscriber()
    asyncio.run(engine.open())
    yield engine
    asyncio.run(engine.aclose())
