"""What stands beside every result: how to get it again."""

import pytest

from benchmarks.machine import _command


@pytest.mark.parametrize(
    ("started", "command"),
    [
        (["/somewhere/benchmarks/latency.py", "--calls", "2"], "python -m benchmarks.latency --calls 2"),
        (["/somewhere/benchmarks/peers/__main__.py"], "python -m benchmarks.peers"),
    ],
)
def test_the_command_is_what_one_types(started: list[str], command: str) -> None:
    assert _command(started) == command
