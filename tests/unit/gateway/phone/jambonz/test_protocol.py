"""jambonz ``listen`` and mod_audio_fork, byte for byte, and in every order."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.jambonz.protocol import ListenOptions, ListenProtocol
from gateway.phone.messages import (
    Audio,
    Began,
    Ignored,
    KeyPressed,
    MarkReturned,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
    SendText,
)

FIELDS: dict[str, object] = {
    "callSid": "cs-1",
    "accountSid": "acc",
    "direction": "inbound",
    "from": "+1555",
    "to": "+1556",
    "callId": "sip-1",
    "sampleRate": 8000,
    "mixType": "mono",
    "metadata": {"tier": "gold", "token": "secret"},
}
CLIPS = ListenOptions(streaming=False)
FORK = ListenOptions(name="freeswitch", marks=False, input_rate_hz=16_000)


def start(**changed: object) -> str:
    return json.dumps({**FIELDS, **changed})


DEFAULTS = ListenOptions()


def live(options: ListenOptions = DEFAULTS, **changed: object) -> ListenProtocol:
    protocol = ListenProtocol(options)
    protocol.receive_text(start(**changed))
    return protocol


def test_the_first_message_says_which_call_it_is() -> None:
    audio = PhoneFormat("pcm16", 8_000)
    call = PhoneCall(
        "jambonz",
        "cs-1",
        stream_id="sip-1",
        account_id="acc",
        caller="+1555",
        called="+1556",
        direction="inbound",
        parameters={"tier": "gold", "callId": "sip-1"},
        token="secret",
    )
    protocol = ListenProtocol(ListenOptions())
    assert protocol.receive_text(start()) == [Began(call, audio, audio)]
    assert list(protocol.connected()) == list(protocol.accepted()) == list(protocol.press_keys("1")) == []


def test_our_rate_may_be_another() -> None:
    (began,) = ListenProtocol(ListenOptions(output_rate_hz=24_000)).receive_text(start(sampleRate="16000"))
    assert isinstance(began, Began)
    assert (str(began.heard), str(began.spoken)) == ("pcm16/16000", "pcm16/24000")


def test_the_metadata_of_a_fork_is_free() -> None:
    (began,) = ListenProtocol(FORK, "fallback").receive_text('{"caller_id_number":"7"}')
    assert isinstance(began, Began)
    assert (began.call.provider, began.call.call_id, began.call.caller) == ("freeswitch", "fallback", "7")
    assert str(began.heard) == "pcm16/16000"


def test_what_we_say_byte_by_byte() -> None:
    protocol = live()
    assert protocol.play(b"\1\2") == [SendBinary(b"\1\2")]
    assert protocol.mark("m1") == [SendText(b'{"type":"mark","data":{"name":"m1"}}')]
    assert protocol.clear() == [SendText(b'{"type":"killAudio"}'), SendText(b'{"type":"clearMarks"}')]
    assert protocol.hang_up("done") == protocol.refused("busy") == [SendText(b'{"type":"disconnect"}')]


def test_without_marks_none_are_sent() -> None:
    protocol = live(FORK)
    assert list(protocol.mark("m1")) == []
    assert protocol.clear() == [SendText(b'{"type":"killAudio"}')]


def test_without_streaming_audio_goes_in_clips() -> None:
    protocol = live(CLIPS)
    assert protocol.traits.packet_ms == 200
    (first,), (second,) = protocol.play(b"\1\2"), protocol.play(b"\3")
    assert json.loads(first.data) == {
        "type": "playAudio",
        "data": {
            "audioContent": base64.b64encode(b"\1\2").decode(),
            "audioContentType": "raw",
            "sampleRate": 8000,
            "id": "c1",
            "queuePlay": True,
        },
    }
    assert json.loads(second.data)["data"]["id"] == "c2"


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ('{"event":"dtmf","dtmf":"5","duration":"250"}', KeyPressed("5")),
        ('{"event":"dtmf"}', Ignored("bad_key")),
        ('{"type":"mark","data":{"name":"m1","event":"playout"}}', MarkReturned("m1")),
        ('{"type":"mark","data":{"name":"m1","event":"cleared"}}', Ignored("mark_cleared")),
        ('{"type":"mark","data":{"event":"playout"}}', Ignored("mark_cleared")),
        ('{"type":"playDone","data":{"id":"c1"}}', Ignored("play_done")),
        ("{}", Ignored("unknown_event")),
    ],
)
def test_what_jambonz_says(text: str, step: object) -> None:
    assert live().receive_text(text) == [step]


def test_audio_comes_in() -> None:
    assert live().receive_binary(b"\1\2\3\4") == [Audio(b"\1\2\3\4")]
    assert live().receive_binary(b"") == [Ignored("empty_audio")]
    stereo = live(mixType="stereo")
    assert stereo.receive_binary(b"\1\2\3\4\5\6") == [Audio(b"\1\2")]
    assert stereo.receive_binary(b"\7\7") == [Audio(b"\5\6")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "not_json"),
        (start(callSid=""), "missing_field"),
        (start(sampleRate=64000), "bad_format"),
        (start(mixType="mixed"), "bad_format"),
    ],
)
def test_a_wrong_first_message_ends_the_connection(text: str, code: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        ListenProtocol(ListenOptions()).receive_text(text)
    assert violation.value.code == code


def test_audio_before_the_first_message_ends_the_connection() -> None:
    with pytest.raises(ProtocolViolation, match="audio came before"):
        ListenProtocol(ListenOptions()).receive_binary(b"\0\0")


VALUES = st.none() | st.integers() | st.text(max_size=9) | st.dictionaries(st.text(max_size=5), st.text(), max_size=2)


@given(
    st.lists(
        st.binary(max_size=9)
        | st.text(max_size=40)
        | st.dictionaries(st.sampled_from([*FIELDS, "type", "event", "data", "dtmf"]), VALUES).map(
            lambda changed: start(**changed)
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_messages_in_any_order(messages: list[str | bytes], started: bool) -> None:
    protocol = live() if started else ListenProtocol(ListenOptions())
    for message in messages:
        try:
            steps = protocol.receive_text(message) if isinstance(message, str) else protocol.receive_binary(message)
        except ProtocolViolation:
            return
        assert len(steps) == 1
