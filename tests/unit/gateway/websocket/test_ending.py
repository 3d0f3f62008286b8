"""What errors and reasons mean for a connection."""

import pytest

from gateway.close_codes import CLOSE_TABLE, CloseCode
from gateway.websocket.ending import Ending, Exit, MustClose, ending_for, ending_of_call
from voicegate.kernel.errors import AudioError, AudioTooLarge, RefusedCall, StateUnavailable

ERRORS: list[tuple[Exception, CloseCode, str]] = [
    (MustClose(Ending(CloseCode.WRONG_KIND, "x", "detach")), CloseCode.WRONG_KIND, "detach"),
    (AudioError("x"), CloseCode.BAD_PAYLOAD, "detach"),
    (AudioTooLarge("x"), CloseCode.AUDIO_TOO_LONG, "detach"),
    (RefusedCall("busy", "x"), CloseCode.TRY_AGAIN, "none"),
    (RefusedCall("gone", "x"), CloseCode.GONE, "none"),
    (RefusedCall("insufficient_credits", "x"), CloseCode.NO_CREDITS, "none"),
    (RefusedCall("in_use", "x"), CloseCode.UNAUTHORIZED, "none"),
    (RefusedCall("forbidden", "x"), CloseCode.FORBIDDEN, "none"),
    (StateUnavailable("x"), CloseCode.TRY_AGAIN, "none"),
    (RefusedCall("never heard of", "x"), CloseCode.INTERNAL, "detach"),
    (ValueError("inner"), CloseCode.INTERNAL, "detach"),
]


@pytest.mark.parametrize(("error", "code", "farewell"), ERRORS)
def test_errors(error: Exception, code: CloseCode, farewell: str) -> None:
    ending = ending_for(error)
    assert (ending.code, ending.farewell) == (code, farewell)
    assert "inner" not in ending.reason


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("agent", CloseCode.NORMAL),
        ("idle", CloseCode.NORMAL),
        ("taken_over", CloseCode.TAKEN_OVER),
        ("lease_lost", CloseCode.TAKEN_OVER),
        ("draining", CloseCode.GOING_AWAY),
        ("internal", CloseCode.INTERNAL),
    ],
)
def test_reasons_of_a_call(reason: str, code: CloseCode) -> None:
    assert ending_of_call(reason) == Ending(code, reason, "none")


async def test_the_first_decision_stands_and_can_be_asked_twice() -> None:
    leaving = Exit()
    first = Ending(CloseCode.NORMAL, "first", "hang_up")
    leaving.leave(first)
    leaving.leave(Ending(CloseCode.INTERNAL, "second", "detach"))
    assert await leaving.wait() is first
    assert await leaving.wait() is first


def test_what_a_hang_up_is_called() -> None:
    assert Ending(CloseCode.NORMAL, "whatever", "hang_up").hang_up_reason == "client"
    assert Ending(CloseCode.GOING_AWAY, "whatever", "detach", peer_gone=True).hang_up_reason == "disconnected"
    assert Ending(CloseCode.SESSION_TIME, "whatever", "hang_up").hang_up_reason == "session_time"


def test_every_close_code_is_in_the_table_once_and_may_be_sent() -> None:
    assert [row.code for row in CLOSE_TABLE] == list(CloseCode)
    for code in CloseCode:
        assert code < 3000 or 4000 <= code <= 4999
