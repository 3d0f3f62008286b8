"""What became audible at a peer that buffers: tables of what was sent, when, and what the peer said."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.ear import AHEAD_MS, MARK_EVERY_MS, Ear

RATE = 8_000
MS = RATE // 1000


def ear(*, marks: bool = True, lag_ms: int = 0) -> Any:
    """An :class:`Ear`; Any, because its properties change between two lines. ``lag_ms``: a short reply has taught
    it that its peer plays so much later."""
    made = Ear(RATE, has_marks=marks)
    if lag_ms:
        made.sent(20 * MS, -10.0)
        name = made.mark(now_or_never=True)
        assert name is not None
        made.returned(name, -10.0 + 0.02 + lag_ms / 1000)
        made.cleared()
    return made


def test_without_marks_the_wall_clock_counts_and_never_beyond_what_was_sent() -> None:
    one = ear(marks=False)
    one.sent(100 * MS, 5.0)
    assert [one.heard(5.0 + ms / 1000) // MS for ms in (0, 40, 99, 100, 500)] == [0, 40, 99, 100, 100]


def test_what_comes_after_the_peer_ran_dry_begins_when_it_is_sent() -> None:
    one = ear(marks=False)
    one.sent(100 * MS, 5.0)
    one.sent(100 * MS, 6.0)
    assert one.heard(6.05) == 150 * MS


def test_a_peer_gets_no_more_ahead_than_allowed() -> None:
    one = ear(marks=False)
    assert one.room(5.0) == AHEAD_MS * MS
    one.sent(AHEAD_MS * MS, 5.0)
    assert one.room(5.0) == 0
    assert one.room(5.06) == 60 * MS
    assert one.room(9.0) == AHEAD_MS * MS


def test_it_knows_when_there_will_be_room() -> None:
    one = ear(marks=False)
    assert one.room_at(100 * MS) == 0.0, "there always was"
    one.sent(AHEAD_MS * MS, 5.0)
    at = one.room_at(100 * MS)
    assert abs(at - 5.1) < 0.001
    assert one.room(at + 1e-6) == 100 * MS
    assert one.room(at - 0.001) < 100 * MS


def test_a_mark_that_is_still_out_holds_the_ear_back() -> None:
    one = ear()
    one.sent(100 * MS, 5.0)
    first = one.mark(now_or_never=True)
    one.sent(100 * MS, 5.0)
    assert one.heard(5.15) == 100 * MS, "the peer has not said that it played the first half"
    assert first is not None
    assert one.returned(first, 5.16)
    assert one.heard(5.16) == 100 * MS
    assert one.heard(5.20) == 140 * MS, "behind a mark that came back the ear moves with the clock"


def test_a_mark_proves_no_more_than_real_time_allows() -> None:
    one = ear()
    one.sent(200 * MS, 5.0)
    name = one.mark(now_or_never=True)
    assert name is not None
    assert one.returned(name, 5.05)
    assert one.heard(5.05) == 50 * MS


def test_the_first_moments_of_a_reply_are_judged_by_the_lag_learned_before() -> None:
    one = ear(lag_ms=60)
    one.sent(160 * MS, 5.0)
    assert [one.heard(5.0 + ms / 1000) // MS for ms in (0, 60, 100, 150)] == [0, 0, 40, 90]


def test_audio_that_follows_what_a_late_peer_still_plays_comes_after_it() -> None:
    one = ear(lag_ms=200)
    one.sent(100 * MS, 5.0)
    one.sent(100 * MS, 5.15)  # our clock says that the first was over, the peer's is 200 ms behind
    assert one.heard(5.35) == 100 * MS
    assert one.heard(5.40) == 150 * MS


def test_after_a_clear_old_marks_prove_nothing() -> None:
    one = ear()
    one.sent(200 * MS, 5.0)
    name = one.mark(now_or_never=True)
    one.cleared()
    assert name is not None
    assert not one.returned(name, 5.01)
    assert not one.returned("m999", 5.01)
    one.sent(200 * MS, 6.0)
    assert one.heard(6.05) == 50 * MS


def test_a_later_mark_stands_for_those_before_it() -> None:
    one = ear()
    one.sent(100 * MS, 5.0)
    one.mark(now_or_never=True)
    one.sent(100 * MS, 5.0)
    second = one.mark(now_or_never=True)
    assert second is not None
    assert one.returned(second, 5.3)
    assert one.heard(5.3) == 200 * MS


def test_marks_are_due_by_time_and_at_a_phrases_end() -> None:
    one = ear()
    assert one.mark(now_or_never=True) is None, "nothing was sent"
    one.sent((MARK_EVERY_MS - 20) * MS, 5.0)
    assert one.mark(now_or_never=False) is None
    one.sent(20 * MS, 5.0)
    assert one.mark(now_or_never=False) == "m1"
    assert one.mark(now_or_never=True) is None
    assert ear(marks=False).mark(now_or_never=True) is None


def test_a_peer_that_returns_no_marks_is_believed_by_the_clock_again() -> None:
    one = ear()
    one.sent(100 * MS, 5.0)
    one.mark(now_or_never=True)
    one.sent(100 * MS, 5.0)
    one.mark(now_or_never=True)
    assert one.heard(7.0) == 100 * MS
    assert one.believed
    assert one.heard(7.2) == 200 * MS
    assert not one.believed
    one.sent(100 * MS, 8.0)
    name = one.mark(now_or_never=True)
    assert one.heard(8.09) == 290 * MS, "marks do not hold it back any more"
    assert name is not None
    assert one.returned(name, 8.1)
    assert one.believed


def test_played_to_the_end() -> None:
    one = ear()
    one.sent(100 * MS, 5.0)
    one.mark(now_or_never=True)
    one.drained(5.3)
    assert one.heard(5.3) == 100 * MS
    assert not one.waiting


def test_padding_is_no_news() -> None:
    one = ear(marks=False)
    one.sent(200 * MS, 5.0, padding=140 * MS)
    assert one.waiting
    assert [one.news(5.0 + ms / 1000) // MS for ms in (40, 80, 200)] == [40, 20, 0]
    one.sent(100 * MS, 6.0)
    assert one.news(6.1) == 100 * MS


def test_what_cannot_be_stopped_is_heard() -> None:
    one = ear()
    one.sent(200 * MS, 5.0)
    one.mark(now_or_never=True)
    one.settle()
    assert one.news(5.01) == 200 * MS
    assert not one.waiting


STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "mark", "return", "clear", "drained", "settle"]), st.integers(1, 400)),
    max_size=60,
)


@given(STEPS, st.booleans())
def test_whatever_a_peer_says_the_account_stays_true(steps: list[tuple[str, int]], marks: bool) -> None:
    one, now, names = Ear(RATE, has_marks=marks), 100.0, ["m1"]
    sent = told = before = 0
    for step, ms in steps:
        now += ms / 1000
        match step:
            case "send" if one.room(now) >= 20 * MS:
                one.sent(20 * MS, now)
                sent += 20 * MS
            case "mark":
                names.append(one.mark(now_or_never=True) or "m1")
            case "return":
                one.returned(names[ms % len(names)], now)
            case "clear":
                sent = told = before = 0
                one.cleared()
            case "drained":
                one.drained(now)
            case "settle":
                one.settle()
            case _:
                pass
        heard = one.heard(now)
        assert before <= heard <= sent
        told += one.news(now)
        assert told == heard
        before = heard
