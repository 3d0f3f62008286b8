"""Real gateways in processes of their own, spoken to over real sockets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.served import Served

Start = Callable[..., Served]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``voicegate serve`` with default settings, for all tests that do it no harm."""
    gateway = Served(tmp_path_factory.mktemp("served"))
    gateway.start()
    yield gateway
    gateway.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start("--workers", "2", VOICEGATE_AGENT="openai", …)``: a gateway of the test's own, with these options and
    settings."""
    running: list[Served] = []

    def _start(*options: str, **environment: str) -> Served:
        gateway = Served(tmp_path / f"gateway{len(running)}", environment, ("voicegate", "serve", *options))
        running.append(gateway)
        gateway.start()
        return gateway

    yield _start
    for gateway in running:
        gateway.close()
