"""The comparison's arithmetic, and the caller's side of the wire."""

import json

import numpy as np
import pytest

from benchmarks.peers import stages
from benchmarks.peers.__main__ import evaluate, gaps_ms, underrun
from benchmarks.peers.load import head, payloads, text_frame

EVEN = [(n * 0.02, 0.02) for n in range(5)]


def test_messages_in_time_leave_no_gap() -> None:
    assert gaps_ms(EVEN) == pytest.approx([0.0] * 4, abs=1e-9)
    assert not underrun(EVEN)


def test_messages_ahead_of_time_buy_time_for_a_late_one() -> None:
    arrivals = [(0.0, 0.1), (0.01, 0.1), (0.19, 0.1)]
    assert gaps_ms(arrivals) == [0.0, 0.0]
    assert not underrun(arrivals)


def test_a_late_message_is_a_gap_and_beyond_the_jitter_buffer_an_underrun() -> None:
    assert gaps_ms([(0.0, 0.02), (0.05, 0.02)]) == pytest.approx([30.0])
    assert not underrun([(0.0, 0.02), (0.05, 0.02)])
    assert underrun([(0.0, 0.02), (0.09, 0.02)])


def test_only_questions_of_the_measured_stretch_count() -> None:
    client = {
        "measured_from": 10.0,
        "until": 40.0,
        "late_ms": [0.1, 0.2],
        "failures": [],
        "turns": [
            {"sent": 9.0, "arrivals": [(9.5, 0.02)]},
            {"sent": 11.0, "arrivals": [(11.8, 0.02), (11.82, 0.02)]},
            {"sent": 30.0, "arrivals": []},
            {"sent": 39.0, "arrivals": []},
        ],
    }
    found = evaluate("x", 2, [client], cpu_s=0.6, seconds=30.0, memory_mb=4.0)
    assert (found.answers, found.unanswered, found.underruns) == (1, 1, 0)
    assert found.voice_to_voice_ms is not None
    assert found.voice_to_voice_ms.median == pytest.approx(800.0)
    assert (found.cpu_ms_per_call_second, found.core_share, found.memory_mb_per_call) == (10.0, 0.02, 2.0)


@pytest.mark.parametrize("size", [5, 125, 126, 300])
def test_a_frame_is_masked_with_a_key_that_changes_nothing(size: int) -> None:
    frame = head(size) + b"x" * size
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert frame[-size - 4 : -size] == bytes(4)


def test_messages_are_json() -> None:
    assert json.loads(text_frame({"event": "stop"})[6:]) == {"event": "stop"}
    assert [len(each) for each in payloads(np.zeros(400, np.int16))] == [216, 216]


def test_all_peers_say_the_same() -> None:
    assert len(stages.tokens()) == stages.TOKENS
    assert "".join(stages.tokens()).startswith("We are open from nine to six on weekdays only. ")
    assert len(stages.tone(123)) == 246
