"""Twilio, Telnyx, Plivo and Exotel: what all four share, in every order and against every text."""

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.auto import AutoProtocol, auto, detect
from gateway.phone.exotel.carrier import ExotelConfig, exotel
from gateway.phone.exotel.protocol import ExotelProtocol
from gateway.phone.messages import (
    Audio,
    Began,
    Ended,
    Ignored,
    KeyPressed,
    MarkReturned,
    PhoneFormat,
    ProtocolViolation,
    SendBinary,
    SendText,
)
from gateway.phone.payload import MAX_AUDIO_BYTES
from gateway.phone.plivo.carrier import PlivoConfig, plivo
from gateway.phone.plivo.protocol import PlivoProtocol
from gateway.phone.protocol import PhoneProtocol, Upgrade
from gateway.phone.telnyx.carrier import TelnyxConfig, telnyx
from gateway.phone.telnyx.protocol import TelnyxProtocol
from gateway.phone.twilio.carrier import TwilioConfig, twilio
from gateway.phone.twilio.protocol import TwilioProtocol

PAYLOAD = base64.b64encode(bytes(range(160))).decode()


@dataclass(frozen=True)
class Dialect:
    """How one carrier writes what all of them say."""

    name: str
    make: Callable[[], PhoneProtocol]
    start: dict[str, Any]
    media: dict[str, Any]
    key: dict[str, Any]
    mark: dict[str, Any]
    stop: dict[str, Any]
    stream_field: str


TWILIO = Dialect(
    "twilio",
    lambda: TwilioProtocol(returns=True),
    {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ1",
        "start": {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": "t", "customer": "C-7"},
        },
    },
    {"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "timestamp": "40", "payload": PAYLOAD}},
    {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "5"}},
    {"event": "mark", "streamSid": "MZ1", "mark": {"name": "m1"}},
    {"event": "stop", "streamSid": "MZ1", "stop": {"accountSid": "AC1", "callSid": "CA1"}},
    "streamSid",
)
TELNYX = Dialect(
    "telnyx",
    lambda: TelnyxProtocol(PhoneFormat("pcmu", 8_000), little_endian=False, returns=False),
    {
        "event": "start",
        "sequence_number": "1",
        "stream_id": "S1",
        "start": {
            "user_id": "U1",
            "call_control_id": "v2:C1",
            "from": "+15551",
            "to": "+15552",
            "custom_parameters": {"token": "t", "customer": "C-7"},
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        },
    },
    {"event": "media", "stream_id": "S1", "media": {"track": "inbound", "timestamp": "40", "payload": PAYLOAD}},
    {"event": "dtmf", "stream_id": "S1", "dtmf": {"digit": "5"}},
    {"event": "mark", "stream_id": "S1", "mark": {"name": "m1"}},
    {"event": "stop", "stream_id": "S1", "stop": {"user_id": "U1", "call_control_id": "v2:C1"}},
    "stream_id",
)
PLIVO = Dialect(
    "plivo",
    PlivoProtocol,
    {
        "event": "start",
        "sequenceNumber": 0,
        "start": {
            "callId": "C1",
            "streamId": "S1",
            "accountId": "A1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        },
        "extra_headers": "{X-PH-token=t;customer=C-7;junk}",
    },
    {"event": "media", "streamId": "S1", "media": {"track": "inbound", "timestamp": "40", "payload": PAYLOAD}},
    {"event": "dtmf", "streamId": "S1", "dtmf": {"track": "inbound", "digit": "5"}},
    {"event": "playedStream", "streamId": "S1", "name": "m1"},
    {"event": "stop", "streamId": "S1"},
    "streamId",
)
EXOTEL = Dialect(
    "exotel",
    ExotelProtocol,
    {
        "event": "start",
        "sequence_number": 1,
        "stream_sid": "S1",
        "start": {
            "stream_sid": "S1",
            "call_sid": "C1",
            "account_sid": "A1",
            "from": "+15551",
            "to": "+15552",
            "custom_parameters": {"token": "t", "customer": "C-7"},
            "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
        },
    },
    {"event": "media", "stream_sid": "S1", "media": {"chunk": 2, "timestamp": "40", "payload": PAYLOAD}},
    {"event": "dtmf", "stream_sid": "S1", "dtmf": {"digit": "5", "duration": "100"}},
    {"event": "mark", "stream_sid": "S1", "mark": {"name": "m1"}},
    {"event": "stop", "stream_sid": "S1", "stop": {"call_sid": "C1", "reason": "callended"}},
    "stream_sid",
)
DIALECTS = [TWILIO, TELNYX, PLIVO, EXOTEL]
CARRIERS = (twilio(TwilioConfig()), telnyx(TelnyxConfig()), plivo(PlivoConfig()), exotel(ExotelConfig()))


def auto_protocol() -> AutoProtocol:
    return AutoProtocol({carrier.name: carrier for carrier in CARRIERS}, Upgrade("/phone"), {})


def live(dialect: Dialect) -> PhoneProtocol:
    protocol = dialect.make()
    protocol.receive_text(json.dumps(dialect.start))
    return protocol


def say(protocol: PhoneProtocol, message: dict[str, Any]) -> list[Any]:
    return list(protocol.receive_text(json.dumps(message)))


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


def test_a_call_from_start_to_stop(dialect: Dialect) -> None:
    protocol = dialect.make()
    assert list(protocol.connected()) == []
    (began,) = say(protocol, dialect.start)
    assert isinstance(began, Began)
    assert (began.call.provider, began.call.token, dict(began.call.parameters)) == (
        dialect.name,
        "t",
        {"customer": "C-7"},
    )
    at_ms = None if dialect is PLIVO else 40
    assert say(protocol, dialect.media) == [Audio(bytes(range(160)), at_ms)]
    assert say(protocol, dialect.key) == [KeyPressed("5")]
    assert say(protocol, dialect.mark) == [MarkReturned("m1")]
    assert say(protocol, dialect.stop) == [Ended("caller")]
    assert say(protocol, dialect.media) == [Ignored("after_end")]
    assert [list(protocol.accepted()), list(protocol.refused("busy")), list(protocol.hang_up("x"))] == [[], [], []]


def test_a_second_start_ends_the_stream(dialect: Dialect) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        say(live(dialect), dialect.start)
    assert raised.value.code == "second_start"


def test_nothing_comes_before_start(dialect: Dialect) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        say(dialect.make(), dialect.media)
    assert raised.value.code == "wrong_order"


def test_what_names_another_stream_is_dropped(dialect: Dialect) -> None:
    for message in (dialect.media, dialect.key, dialect.mark, dialect.stop):
        assert say(live(dialect), message | {dialect.stream_field: "other"}) == [Ignored("foreign_stream")]


@pytest.mark.parametrize("payload", ["", "!!!!", "AAA", None, 7, "A" * (MAX_AUDIO_BYTES * 4 // 3 + 8)])
def test_audio_that_is_none_is_dropped(dialect: Dialect, payload: object) -> None:
    broken = dialect.media | {"media": dialect.media["media"] | {"payload": payload}}
    assert say(live(dialect), broken) == [Ignored("bad_media")]


def test_what_is_unknown_is_dropped(dialect: Dialect) -> None:
    assert say(live(dialect), dialect.media | {"event": "news"}) == [Ignored("unknown_event")]
    assert say(live(dialect), dialect.key | {"dtmf": {"digit": "F"}}) == [Ignored("bad_key")]
    assert list(live(dialect).receive_binary(b"\0")) == [Ignored("binary")]


@pytest.mark.parametrize("text", ["", "[]", "7", '"start"', "{", "nul", '{"event":"start"', "\ud800"])
def test_what_is_no_json_object_ends_the_stream(dialect: Dialect, text: str) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        live(dialect).receive_text(text)
    assert raised.value.code == "not_json"


def test_a_start_without_its_ids_ends_the_stream(dialect: Dialect) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        say(dialect.make(), {"event": "start", "start": {}})
    assert raised.value.code == "missing_field"


@pytest.mark.parametrize("dialect", [TWILIO, TELNYX, PLIVO], ids=lambda dialect: dialect.name)
def test_the_other_track_is_what_we_said(dialect: Dialect) -> None:
    other = dialect.media | {"media": dialect.media["media"] | {"track": "outbound"}}
    assert say(live(dialect), other) == [Ignored("other_track")]


def test_one_route_knows_them_all(dialect: Dialect) -> None:
    assert detect(dialect.start) == dialect.name
    protocol = auto_protocol()
    assert not protocol.traits.buffers
    assert say(protocol, {"event": "connected"}) == [Ignored("before_start")]
    (began,) = say(protocol, dialect.start)
    assert isinstance(began, Began)
    assert began.call.provider == dialect.name
    known = live(dialect)
    assert protocol.traits == known.traits
    assert protocol.play(b"abc") == known.play(b"abc")
    assert protocol.mark("m") == known.mark("m")
    assert protocol.clear() == known.clear()
    assert protocol.press_keys("1") == known.press_keys("1")
    assert [protocol.accepted(), protocol.refused("busy"), protocol.hang_up("x")] == [(), (), ()]
    assert list(protocol.receive_binary(b"\0")) == [Ignored("binary")]


def test_the_route_for_all_waits_for_a_start_only_so_long() -> None:
    protocol = auto_protocol()
    assert list(protocol.connected()) == []
    with pytest.raises(ProtocolViolation, match="binary"):
        protocol.receive_binary(b"\0")
    say(protocol, {"event": "connected"})
    say(protocol, {"event": "connected"})
    with pytest.raises(ProtocolViolation) as raised:
        say(protocol, {"event": "connected"})
    assert raised.value.code == "unknown_carrier"
    with pytest.raises(ProtocolViolation):
        say(auto_protocol(), {"event": "start", "start": {"id": 1}})


def test_the_route_for_all_asks_for_the_proof_of_whoever_shows_up() -> None:
    carriers = {carrier.name: carrier for carrier in CARRIERS}
    protocol = AutoProtocol(carriers, Upgrade("/phone"), {"twilio": "no signature"})
    with pytest.raises(ProtocolViolation) as raised:
        say(protocol, TWILIO.start)
    assert raised.value.code == "forged"
    say(AutoProtocol(carriers, Upgrade("/phone"), {"twilio": "no signature"}), PLIVO.start)


def test_the_address_for_all_takes_any_ones_proof_and_the_strictest_rules() -> None:
    one = auto((twilio(TwilioConfig("AC1", "secret")), exotel(ExotelConfig("gate", "s3cret")), plivo(PlivoConfig())))
    basic = "Basic " + base64.b64encode(b"gate:s3cret").decode()
    proven = Upgrade("/phone", headers={"authorization": basic})
    assert one.guarded
    assert not auto(CARRIERS).guarded
    assert one.subprotocols == ("audio.plivo.com",)
    assert one.max_message_bytes == 256 * 1024
    assert (one.vouch(proven, 0.0), one.vouch(Upgrade("/phone"), 0.0)) == (True, False)
    with pytest.raises(ProtocolViolation) as raised:
        say(one.open(proven), TWILIO.start)
    assert raised.value.code == "forged", "another carrier's proof does not stand for a signature of Twilio"
    say(one.open(proven), EXOTEL.start)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.data())
def test_no_text_and_no_bytes_break_a_protocol(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(DIALECTS))
    protocol = data.draw(st.sampled_from([dialect.make, lambda: live(dialect), auto_protocol]))()
    known = (dialect.start, dialect.media, dialect.key, dialect.mark, dialect.stop)
    for _ in range(data.draw(st.integers(1, 5))):
        message = dict(data.draw(st.sampled_from(known)))
        for name in data.draw(st.lists(st.sampled_from([*message, "event", "start", "media"]), max_size=2)):
            value = message.get(name)
            if isinstance(value, dict) and value and data.draw(st.booleans()):
                message[name] = value | {data.draw(st.sampled_from(sorted(value))): data.draw(JSON)}
            else:
                message[name] = data.draw(JSON)
        text = data.draw(st.one_of(st.just(json.dumps(message)), st.text(max_size=40), JSON.map(json.dumps)))
        with contextlib.suppress(ProtocolViolation):
            steps = [*protocol.receive_text(text), *protocol.receive_binary(data.draw(st.binary(max_size=8)))]
            for step in steps:
                assert not isinstance(step, SendText | SendBinary)
                assert not isinstance(step, Audio) or step.data
