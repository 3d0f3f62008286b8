"""Where a turn's time went: the parts are one after the other and make the whole."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stamps import TurnStamps

PARTS = ("endpointing_ms", "stt_ms", "agent_ms", "tts_ms", "playout_ms")


def parts(
    *, seen: float, transcribed: float, committed: float, token: float, audio: float, out: float
) -> tuple[float, tuple[float, ...]]:
    stamps = TurnStamps(10.0, seen, transcribed, committed, token, audio)
    whole = stamps.parts_ms(out)
    assert list(whole) == ["voice_to_voice_ms", *PARTS]
    return whole["voice_to_voice_ms"], tuple(whole[name] for name in PARTS)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        pytest.param(
            {"seen": 10.13, "transcribed": 10.2, "committed": 10.25, "token": 10.3, "audio": 10.4, "out": 10.42},
            (420.0, (250.0, 0.0, 50.0, 100.0, 20.0)),
            id="the text was there before the endpoint: all that was waited for was silence",
        ),
        pytest.param(
            {"seen": 10.13, "transcribed": 10.5, "committed": 10.5, "token": 10.6, "audio": 10.7, "out": 10.7},
            (700.0, (130.0, 370.0, 100.0, 100.0, 0.0)),
            id="the text came late: committed with it",
        ),
        pytest.param(
            {"seen": 10.13, "transcribed": 10.5, "committed": 10.5004, "token": 10.6, "audio": 10.7, "out": 10.7},
            (700.0, (130.0, 370.4, 99.6, 100.0, 0.0)),
            id="and a machine takes its time to say so",
        ),
        pytest.param(
            {"seen": 10.13, "transcribed": 10.2, "committed": 10.8, "token": 10.3, "audio": 10.4, "out": 10.82},
            (820.0, (800.0, 0.0, 0.0, 0.0, 20.0)),
            id="a speculation was ready: agent and voice cost nothing",
        ),
    ],
)
def test_row(row: dict[str, float], wanted: Any) -> None:
    whole, each = parts(**row)
    assert whole == wanted[0]
    assert each == pytest.approx(wanted[1])


moment = st.floats(0, 20)


@given(moment, moment, moment, moment, moment, st.floats(10, 20))
def test_the_parts_add_up_whatever_the_order(
    seen: float, transcribed: float, committed: float, token: float, audio: float, out: float
) -> None:
    whole, each = parts(seen=seen, transcribed=transcribed, committed=committed, token=token, audio=audio, out=out)
    assert all(part >= 0 for part in each)
    assert sum(each) == pytest.approx(whole, abs=0.31)
