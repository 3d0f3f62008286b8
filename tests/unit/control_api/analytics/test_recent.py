"""What goes on right now."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from control_api.analytics import recent
from control_api.analytics.recent import Figures, Recent
from voicegate.kernel.events import Event, Latency, ReplyStarted, TurnCommitted
from voicegate.kernel.ids import SessionId

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OURS, THEIRS = UUID(int=1), UUID(int=2)


def committed(seq: int, ago_s: float = 0) -> Event:
    return TurnCommitted(session_id=SessionId("s"), seq=seq, at=NOW - timedelta(seconds=ago_s), text="Hi")


def answered(seq: int, milliseconds: float) -> Event:
    return Latency(
        session_id=SessionId("s"),
        seq=seq,
        at=NOW,
        voice_to_voice_ms=milliseconds,
        endpointing_ms=0,
        stt_ms=0,
        agent_ms=0,
        tts_ms=0,
        playout_ms=0,
    )


def test_calls_and_turns_of_one_organization() -> None:
    live = Recent()
    live.begun("a", OURS)
    live.begun("b", OURS)
    live.begun("c", THEIRS)
    live.over("b")
    live.over("never begun")
    for event in (
        committed(1),
        answered(2, 400),
        committed(3),
        answered(4, 800),
        ReplyStarted(session_id=SessionId("s"), seq=5, at=NOW),
    ):
        live.heard("a", OURS, event, NOW)
    live.heard("c", THEIRS, committed(1), NOW)
    found = live.figures(OURS, NOW)
    assert (found.calls, found.turns_per_minute) == (1, 2)
    assert found.voice_to_voice_p50_ms == pytest.approx(400, rel=0.05)
    assert found.voice_to_voice_p95_ms == pytest.approx(800, rel=0.05)
    assert live.figures(THEIRS, NOW) == Figures(1, 1, None, None)


def test_a_call_that_is_read_again_counts_once() -> None:
    live = Recent()
    for _ in range(3):
        live.heard("a", OURS, committed(1), NOW)
    assert live.figures(OURS, NOW).turns_per_minute == 1


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    live = Recent()
    live.heard("a", OURS, committed(1, ago_s=61), NOW)
    live.heard("a", OURS, committed(2, ago_s=30), NOW)
    assert live.figures(OURS, NOW).turns_per_minute == 1
    assert live.figures(OURS, NOW + timedelta(seconds=31)).turns_per_minute == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST", 3)
    live = Recent()
    for seq in range(1, 10):
        live.heard("a", OURS, committed(seq), NOW)
    assert live.figures(OURS, NOW).turns_per_minute == 3
