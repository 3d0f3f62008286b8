"""Silence: asked about, noticed, forgiven, given up."""

from gateway.webrtc.presence import Presence, Sign

TICK_S = 0.02


def watch(presence: Presence, seconds: float, heard_at: tuple[float, ...] = ()) -> list[tuple[float, Sign]]:
    """Ticks for so long from the last one on; signs with the time since then."""
    start, heard = presence.now_s, presence.heard
    signs: list[tuple[float, Sign]] = []
    for n in range(1, round(seconds / TICK_S) + 1):
        at = n * TICK_S
        now_heard = heard + sum(moment <= at + 1e-9 for moment in heard_at)
        sign = presence.tick(now_heard, start + at)
        if sign is not Sign.NOTHING:
            signs.append((round(at, 2), sign))
    return signs


def begin() -> Presence:
    return Presence(quiet_s=0.7, gone_s=1.8, forget_s=30.0, now_s=100.0)


def test_a_peer_that_speaks_is_not_asked() -> None:
    steady = tuple(n * 0.5 for n in range(1, 20))
    assert watch(begin(), 10, steady) == []


def test_a_silent_peer_is_asked_and_gone_within_two_seconds() -> None:
    signs = watch(begin(), 2.0)
    gone = [at for at, sign in signs if sign is Sign.GONE]
    asked = [at for at, sign in signs if sign is Sign.ASK]
    assert len(gone) == 1
    assert 1.78 <= gone[0] <= 1.84
    assert 0.7 <= asked[0] <= 0.74
    assert len([at for at in asked if at < gone[0]]) >= 5, "one lost answer must not be enough"


def test_an_answer_to_the_question_is_enough() -> None:
    signs = watch(begin(), 10, heard_at=tuple(n * 1.0 for n in range(1, 11)))
    assert {sign for _, sign in signs} == {Sign.ASK}


def test_it_comes_back() -> None:
    signs = watch(begin(), 6, heard_at=(4.0, 4.5, 5.0, 5.5, 6.0))
    assert [sign for _, sign in signs if sign in (Sign.GONE, Sign.BACK)] == [Sign.GONE, Sign.BACK]
    assert (4.0, Sign.BACK) in signs
    away = [at for at, sign in signs if sign is Sign.ASK and 1.9 < at < 4.0]
    assert 1 <= len(away) <= 3, "who is away is asked less often"


def test_it_is_forgotten() -> None:
    signs = watch(begin(), 31)
    assert signs[-1][1] is Sign.FORGET
    assert min(at for at, sign in signs if sign is Sign.FORGET) >= 29.9


def test_a_process_that_was_stopped_has_heard_nobody() -> None:
    presence = begin()
    assert presence.tick(0, 100.02) is Sign.NOTHING
    assert presence.tick(0, 105.0) is Sign.NOTHING, "five seconds in one tick are our own silence"
    assert not presence.away
