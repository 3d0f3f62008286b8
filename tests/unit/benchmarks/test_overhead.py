"""What is planned is what the simulated stages take, with and without speculation."""

import pytest

from benchmarks.overhead import Plan
from benchmarks.simulated import Latencies, first_phrase_ms

STAGES = Latencies(stt_ms=100, ttft_ms=150, tokens=40, token_ms=20, tts_ms=75)


@pytest.mark.parametrize(
    ("endpointing_ms", "speculate", "planned_without_phrase"),
    [
        (250, True, 128 + 100 + 75),  # all in the shadow of nothing: the stages are the longer way
        (250, False, 250 + 75),
        (100, False, 128 + 100 + 75),  # text is later than the endpointing delay
    ],
)
def test_planned(endpointing_ms: int, speculate: bool, planned_without_phrase: float) -> None:
    plan = Plan(STAGES, endpointing_ms, speculate)
    assert plan.planned_ms == planned_without_phrase + first_phrase_ms(STAGES)


def test_speculation_hides_the_stages_behind_a_long_endpointing_delay() -> None:
    assert Plan(STAGES, 2000, True).planned_ms == 2000
    assert Plan(STAGES, 2000, False).planned_ms == 2000 + first_phrase_ms(STAGES) + 75


def test_the_server_is_started_with_the_same_plan() -> None:
    options = Plan(STAGES, 300, False).options()
    assert options[options.index("--endpointing-ms") + 1] == "300"
    assert options[options.index("--tts-ms") + 1] == "75"
    assert "--no-speculate" in options
