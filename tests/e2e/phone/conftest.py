"""One gateway for all phone tests that do it no harm."""

from collections.abc import Iterator

import pytest

from tests.e2e.phone.lines import Lines


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    """``voicegate serve`` with default engines and the secrets of all carriers."""
    gateway = Lines(tmp_path_factory.mktemp("phones"))
    gateway.served.start()
    yield gateway
    gateway.served.close()
