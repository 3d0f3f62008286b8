"""chan_websocket, byte for byte, in both control formats and in every order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.asterisk.protocol import (
    MAX_EARLY_BYTES,
    MAX_MESSAGE_BYTES,
    Address,
    AsteriskProtocol,
    ChannelOptions,
)
from gateway.phone.messages import (
    Audio,
    Began,
    Drained,
    Ignored,
    KeyPressed,
    MarkReturned,
    PeerPaused,
    PeerResumed,
    PhoneCall,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
    SendText,
)

PLAIN = (
    "MEDIA_START connection_id:gateway channel:WebSocket/gateway/0x7f channel_id:1761245643.1 format:ulaw "
    "optimal_frame_size:160 ptime:20"
)
FIELDS: dict[str, object] = {
    "event": "MEDIA_START",
    "connection_id": "gateway",
    "channel": "WebSocket/gateway/0x7f",
    "channel_id": "1761245643.1",
    "format": "slin16",
    "optimal_frame_size": 640,
    "ptime": 20,
    "channel_variables": {"CALLERID(num)": "+1555", "EXTEN": "100", "tier": "gold"},
}
DEFAULTS = ChannelOptions()


def new(options: ChannelOptions = DEFAULTS, **parameters: str) -> AsteriskProtocol:
    return AsteriskProtocol(options, Address(parameters))


def live(text: str = PLAIN, options: ChannelOptions = DEFAULTS) -> AsteriskProtocol:
    protocol = new(options)
    protocol.receive_text(text)
    return protocol


def as_json(**changed: object) -> str:
    return json.dumps({**FIELDS, **changed})


def test_the_first_event_as_plain_text() -> None:
    ulaw = PhoneFormat("pcmu", 8_000)
    call = PhoneCall("asterisk", "1761245643.1", stream_id="gateway", caller="7", parameters={"session": "a"})
    assert new(caller="7", session="a").receive_text(PLAIN) == [Began(call, ulaw, ulaw)]


def test_the_first_event_as_json() -> None:
    slin16 = PhoneFormat("pcm16", 16_000)
    call = PhoneCall(
        "asterisk", "1761245643.1", stream_id="gateway", caller="+1555", called="100", parameters={"tier": "gold"}
    )
    assert new().receive_text(as_json()) == [Began(call, slin16, slin16)]


def test_a_channel_of_an_early_version() -> None:
    early = "MEDIA_START connection_id:gateway channel:WebSocket/gateway/0x7f optimal_frame_size:160"
    (began,) = new(ChannelOptions(format="alaw")).receive_text(early)
    assert isinstance(began, Began)
    assert (began.call.call_id, began.heard) == ("WebSocket/gateway/0x7f", PhoneFormat("pcma", 8_000))


def test_what_we_say_is_in_the_channels_format() -> None:
    for text, wanted in ((PLAIN, b"FLUSH_MEDIA"), (as_json(), b'{"command":"FLUSH_MEDIA"}')):
        assert live(text).clear() == [SendText(wanted)]
    assert live().mark("m1") == [SendText(b"MARK_MEDIA m1")]
    assert live().hang_up("done") == live().refused("busy") == [SendText(b"HANGUP")]
    assert list(live().press_keys("1")) == list(live().connected()) == list(live().accepted()) == []


def test_the_channel_is_answered_where_it_was_dialled_so() -> None:
    assert live(options=ChannelOptions(answer=True)).accepted() == [SendText(b"ANSWER")]


def test_buffering_begins_anew_after_a_flush() -> None:
    protocol = live(options=ChannelOptions(buffering=True))
    assert protocol.accepted() == [SendText(b"START_MEDIA_BUFFERING")]
    assert protocol.clear() == [SendText(b"FLUSH_MEDIA"), SendText(b"START_MEDIA_BUFFERING")]


@pytest.mark.parametrize(("form", "silence"), [("ulaw", b"\xff"), ("alaw", b"\xd5")])
def test_a_message_is_whole_frames(form: str, silence: bytes) -> None:
    protocol = live(PLAIN.replace("ulaw", form))
    assert protocol.play(bytes(320)) == [SendBinary(bytes(320))]
    assert protocol.play(bytes(161)) == [SendBinary(bytes(161) + silence * 159)]


def test_a_message_is_below_what_ends_the_call() -> None:
    sizes = [len(send.data) for send in live(as_json()).play(bytes(2 * MAX_MESSAGE_BYTES))]
    assert max(sizes) <= MAX_MESSAGE_BYTES
    assert all(size % 640 == 0 for size in sizes)
    assert sum(sizes) >= 2 * MAX_MESSAGE_BYTES


def test_other_packet_times_make_packets_that_fit_both() -> None:
    protocol = live(as_json(ptime=30, optimal_frame_size=960))
    assert (protocol.traits.packet_ms, protocol.traits.least_ms) == (120, 60)


def test_nothing_is_said_after_the_hang_up() -> None:
    protocol = live()
    protocol.hang_up("done")
    assert list(protocol.hang_up("again")) == list(protocol.play(bytes(160))) == []


def test_audio_before_the_first_event_is_kept() -> None:
    protocol = new()
    assert protocol.receive_binary(b"\1" * 160) == [Ignored("early_audio")]
    assert list(protocol.play(b"\1")) == []
    assert protocol.receive_text(PLAIN)[1:] == [Audio(b"\1" * 160)]
    assert protocol.receive_binary(b"\2") == [Audio(b"\2")]
    assert protocol.receive_binary(b"") == [Ignored("empty_audio")]


def test_too_much_audio_before_the_first_event_ends_the_connection() -> None:
    protocol = new()
    protocol.receive_binary(bytes(MAX_EARLY_BYTES))
    with pytest.raises(ProtocolViolation, match="before MEDIA_START"):
        protocol.receive_binary(b"\0")


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("DTMF_END digit:# channel_id:1", KeyPressed("#")),
        ("DTMF_END channel_id:1", Ignored("bad_key")),
        ("MEDIA_XOFF", PeerPaused(20.0)),
        ("MEDIA_XON", PeerResumed()),
        ("MEDIA_MARK_PROCESSED m1", MarkReturned("m1")),
        ('{"event":"MEDIA_MARK_PROCESSED","correlation_id":"m1"}', MarkReturned("m1")),
        ("MEDIA_MARK_PROCESSED", Ignored("foreign_mark")),
        ("QUEUE_DRAINED", Drained()),
        ("STATUS queue_length:43", Ignored("status")),
        ("ERROR channel_id:1 error_text:no", Ignored("error")),
        ("NEW_ONE", Ignored("unknown_event")),
    ],
)
def test_what_asterisk_says(text: str, step: object) -> None:
    assert live().receive_text(text) == [step]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("MEDIA_XON", "wrong_order"),
        (PLAIN.replace("ulaw", "opus"), "bad_format"),
        (PLAIN.replace(":160", ":161"), "bad_format"),
        (as_json(ptime=0, optimal_frame_size=1), "bad_format"),
        (as_json(ptime=200, optimal_frame_size=6400), "bad_format"),
        ("MEDIA_START format:ulaw", "missing_field"),
    ],
)
def test_a_wrong_first_event_ends_the_connection(text: str, code: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        new().receive_text(text)
    assert violation.value.code == code
    hang_up = json.dumps({"command": "HANGUP"}, separators=(",", ":")) if text.startswith("{") else "HANGUP"
    assert violation.value.last_words == (() if code == "wrong_order" else (SendText(hang_up.encode()),))


def test_a_second_first_event_ends_the_connection() -> None:
    with pytest.raises(ProtocolViolation) as violation:
        live().receive_text(PLAIN)
    assert violation.value.code == "second_start"


@given(
    st.lists(
        st.binary(max_size=400)
        | st.text(max_size=40)
        | st.sampled_from([PLAIN, as_json(), "MEDIA_XOFF", "DTMF_END digit:9", "MEDIA_MARK_PROCESSED", "{}"])
        | st.dictionaries(st.sampled_from([*FIELDS, "digit"]), st.none() | st.integers() | st.text()).map(
            lambda changed: as_json(**changed)
        ),
        max_size=8,
    )
)
def test_any_messages_in_any_order(messages: list[str | bytes]) -> None:
    protocol = new()
    began = 0
    for message in messages:
        try:
            steps = protocol.receive_text(message) if isinstance(message, str) else protocol.receive_binary(message)
        except ProtocolViolation:
            return
        began += sum(isinstance(step, Began) for step in steps)
        assert began == 1 or all(isinstance(step, Ignored) for step in steps)
