"""What may be begun before its turn is over."""

import pytest

from pipeline.allowance import Allowance


@pytest.mark.parametrize(
    ("allowance", "sure", "doubtful"),
    [
        (Allowance(), True, True),
        (Allowance(doubts=False), True, False),
        (Allowance(speculation=False), False, False),
    ],
)
def test_speculation(allowance: Allowance, sure: bool, doubtful: bool) -> None:
    assert allowance.speculates(doubtful=False) is sure
    assert allowance.speculates(doubtful=True) is doubtful
