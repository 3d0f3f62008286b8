"""Control text of chan_websocket: both forms, and any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.asterisk.control import MAX_EVENT_CHARACTERS, ControlEvent, command, read_event
from gateway.phone.messages import ProtocolViolation, SendText


def test_events_as_plain_text() -> None:
    assert read_event("MEDIA_XON") == ControlEvent("MEDIA_XON")
    assert read_event("DTMF_END digit:5 channel_id:17.1") == ControlEvent(
        "DTMF_END", {"digit": "5", "channel_id": "17.1"}
    )
    start = read_event("MEDIA_START channel:WebSocket/a/0x5:1 optimal_frame_size:160")
    assert start.fields == {"channel": "WebSocket/a/0x5:1", "optimal_frame_size": "160"}
    assert read_event("MEDIA_MARK_PROCESSED m1").fields == {"correlation_id": "m1"}
    assert read_event("MEDIA_MARK_PROCESSED correlation_id:m1").fields == {"correlation_id": "m1"}
    assert read_event("MEDIA_BUFFERING_COMPLETED").fields == {}


def test_events_as_json() -> None:
    event = read_event('{"event":"DTMF_END","digit":"5"}')
    assert (event.name, event.fields["digit"], event.as_json) == ("DTMF_END", "5", True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_message"),
        ("  ", "bad_message"),
        ("media_start", "bad_message"),
        ("{}", "bad_message"),
        ('{"event":"x y"}', "bad_message"),
        ('{"event":', "not_json"),
        ("A" * (MAX_EVENT_CHARACTERS + 1), "too_big"),
    ],
)
def test_what_is_no_event_ends_the_connection(text: str, code: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        read_event(text)
    assert violation.value.code == code


def test_commands_byte_by_byte() -> None:
    assert command("FLUSH_MEDIA", as_json=False) == SendText(b"FLUSH_MEDIA")
    assert command("MARK_MEDIA", "m1", as_json=False) == SendText(b"MARK_MEDIA m1")
    assert command("FLUSH_MEDIA", as_json=True) == SendText(b'{"command":"FLUSH_MEDIA"}')
    assert command("MARK_MEDIA", "m1", as_json=True) == SendText(b'{"command":"MARK_MEDIA","correlation_id":"m1"}')


def test_a_command_that_asterisk_would_drop_is_not_made() -> None:
    assert len(command("MARK_MEDIA", "m" * 117, as_json=False).data) == 128
    with pytest.raises(ValueError, match="128 bytes"):
        command("MARK_MEDIA", "m" * 118, as_json=False)


@given(st.text() | st.text().map(lambda text: "MEDIA_START " + text) | st.text().map(lambda text: '{"event":' + text))
def test_any_text_is_an_event_or_a_violation(text: str) -> None:
    try:
        event = read_event(text)
    except ProtocolViolation:
        return
    assert event.name
