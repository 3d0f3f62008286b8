"""docs/scaling.md computes with what was measured."""

import pytest

from scripts.scaling import BEGIN, END, computed, main, with_computed

STAGE = {
    "calls": 50,
    "cpu_ms_per_call_second": 4.0,
    "memory_mb_per_call": 0.25,
    "redis_commands_per_call_second": 20.0,
    "redis_bytes_per_call_second": 2_000,
}


def test_the_page_is_computed_from_the_result_that_is_there() -> None:
    assert main(["--check"]) == 0


def test_what_a_thousand_calls_need() -> None:
    text = computed(STAGE)
    assert "| 1,000 | 4.0 | 7 | 20,000 commands/s, 2.00 MB/s | 0.2 GB |" in text
    assert "150 calls a core" in text
    assert "5,000 calls a Redis" in text


def test_a_page_without_markers() -> None:
    with pytest.raises(ValueError, match=BEGIN):
        with_computed("nothing", "")
    assert with_computed(f"a {BEGIN} old {END} b", "new") == f"a {BEGIN}\nnew\n{END} b"
