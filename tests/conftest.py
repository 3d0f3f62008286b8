"""What holds for all tests."""

import gc
from collections.abc import Generator

import pytest
import structlog
from hypothesis import settings

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
