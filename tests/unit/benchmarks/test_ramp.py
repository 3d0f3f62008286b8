"""The figures of the embedded engines' ramp, from what its callers noted."""

from typing import Any

import pytest

from benchmarks.ramp import capacity, evaluate

QUICK: dict[str, Any] = {"sent": 10.0, "voiced": 10.4, "arrivals": [10.38, 10.4]}


def client(*turns: dict[str, Any], failures: list[str] | None = None) -> dict[str, Any]:
    return {"since": 5.0, "until": 35.0, "late_ms": [1.0], "failures": failures or [], "turns": list(turns)}


def test_voice_to_voice_counts_to_the_first_message_that_can_be_heard() -> None:
    stage = evaluate(4, [client(QUICK), client(QUICK | {"sent": 2.0})], used_s=1.2, seconds=30.0)
    assert stage.voice_to_voice_ms is not None
    assert stage.questions == 1
    assert stage.voice_to_voice_ms.median == pytest.approx(400)
    assert (stage.cpu_ms_per_call_second, stage.core_share) == (10.0, 0.04)
    assert stage.holds


@pytest.mark.parametrize(
    "written",
    [
        pytest.param([client(*[QUICK] * 9, QUICK | {"voiced": 13.0})], id="slow"),
        pytest.param([client(QUICK, QUICK | {"voiced": -1.0, "arrivals": []})], id="unanswered"),
        pytest.param([client(QUICK, failures=["closed"])], id="a call broke"),
        pytest.param([client()], id="nothing was asked"),
    ],
)
def test_a_stage_does_not_hold_with(written: list[dict[str, Any]]) -> None:
    assert not evaluate(4, written, used_s=1.0, seconds=30.0).holds


def test_a_question_asked_just_before_the_end_may_lack_its_answer() -> None:
    stage = evaluate(4, [client(QUICK, QUICK | {"sent": 34.0, "voiced": -1.0, "arrivals": []})], 1.0, 30.0)
    assert (stage.questions, stage.unanswered, stage.holds) == (1, 0, True)


def test_capacity_is_that_of_the_last_stage_that_held() -> None:
    good, bad = evaluate(16, [client(QUICK)], 1.0, 30.0), evaluate(20, [client()], 1.0, 30.0)
    assert capacity([good, bad]) == 16
    assert capacity([bad]) == 0
