"""Each carrier's side of a stream: what it says, plays, returns and drops."""

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audiocodecs import g711
from audiocodecs.wav import encode_wav
from voicegate.client.carriers import audiosocket, exotel, genesys, telnyx, twilio
from voicegate.client.carriers.asterisk import QUEUE_FRAMES, XOFF_FRAMES, AsteriskLeg
from voicegate.client.carriers.audiosocket import AudioSocketLeg
from voicegate.client.carriers.exotel import ExotelLeg
from voicegate.client.carriers.freeswitch import FreeswitchLeg
from voicegate.client.carriers.genesys import GenesysLeg
from voicegate.client.carriers.jambonz import JambonzLeg
from voicegate.client.carriers.leg import CallFacts, Leg
from voicegate.client.carriers.plivo import PlivoLeg
from voicegate.client.carriers.telnyx import TelnyxLeg
from voicegate.client.carriers.twilio import TwilioLeg
from voicegate.client.carriers.vonage import BUFFER_MESSAGES, VonageLeg
from voicegate.kernel.audio import Frame

FACTS = CallFacts(str(uuid.UUID(int=7)), "stream-1", "account-1", parameters={"token": "t"})
SILENCE: Frame = np.zeros(160, np.int16)
LOUD: Frame = np.full(160, 8_031, np.int16)
ULAW = base64.b64encode(g711.ulaw_encode(LOUD)).decode()


def opened(leg: Leg) -> Leg:
    leg.begin()
    return leg


def jsons(messages: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(each) for each in messages if isinstance(each, str)]


def media(leg: Leg, name: str = "media") -> list[dict[str, Any]]:
    return [each[name] for each in jsons(leg.tick(LOUD).messages) if each.get("event") == "media"]


# --- Twilio ---


def twilio_play(frames: int) -> str:
    payload = base64.b64encode(g711.ulaw_encode(np.tile(LOUD, frames))).decode()
    return json.dumps({"event": "media", "streamSid": "stream-1", "media": {"payload": payload}})


def twilio_mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": "stream-1", "mark": {"name": name}})


def test_twilio_says_what_the_vendor_documents() -> None:
    leg = TwilioLeg(FACTS)
    connected, start = jsons(leg.begin())
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["customParameters"] == {"token": "t"}
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    first, second = jsons(leg.tick(LOUD).messages)[0], jsons(leg.tick(LOUD).messages)[0]
    assert (first["sequenceNumber"], second["sequenceNumber"]) == ("2", "3")
    assert second["media"] == {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": ULAW}
    assert jsons(leg.press("5"))[0]["dtmf"] == {"track": "inbound_track", "digit": "5"}
    assert jsons(leg.hang_up())[0]["event"] == "stop"
    assert leg.over


def test_twilio_returns_marks_when_played_and_all_of_them_on_clear() -> None:
    leg = opened(TwilioLeg(FACTS))
    assert leg.receive(twilio_play(2)) == []
    leg.receive(twilio_mark("a"))
    leg.receive(twilio_play(10))
    leg.receive(twilio_mark("b"))
    ticks = [leg.tick(SILENCE) for _ in range(3)]
    assert all(tick.played is not None and tick.played.tolist() == g711.ulaw_decode(
        g711.ulaw_encode(LOUD)).tolist() for tick in ticks)  # fmt: skip
    marks = [each["mark"]["name"] for tick in ticks for each in jsons(tick.messages) if each["event"] == "mark"]
    assert marks == ["a"]
    cleared = jsons(leg.receive('{"event":"clear","streamSid":"stream-1"}'))
    assert [each["mark"]["name"] for each in cleared] == ["b"]
    assert leg.tick(SILENCE).played is None


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\xff" * 160, twilio.NOT_TEXT),
        ("{", twilio.NOT_UNDERSTOOD),
        ("[]", twilio.NOT_UNDERSTOOD),
        ('{"event":"clear","streamSid":"another"}', twilio.NOT_UNDERSTOOD),
        ('{"event":"media","streamSid":"stream-1","media":{"payload":"*"}}', twilio.NOT_UNDERSTOOD),
        ('{"event":"media","streamSid":"stream-1"}', twilio.NOT_UNDERSTOOD),
        ('{"event":"hello","streamSid":"stream-1"}', twilio.NOT_UNDERSTOOD),
    ],
)
def test_twilio_drops_and_goes_on(message: str | bytes, why: str) -> None:
    leg = opened(TwilioLeg(FACTS))
    assert leg.receive(message) == []
    assert leg.dropped == {why: 1}
    assert not leg.over


def test_twilio_leaves_gaps_in_silence() -> None:
    leg = opened(TwilioLeg(FACTS, silence_after_ms=40))
    sent = [len(leg.tick(frame).messages) for frame in (LOUD, SILENCE, SILENCE, SILENCE, SILENCE, LOUD)]
    assert sent == [1, 1, 1, 0, 0, 1]
    [last] = media(leg)
    assert (last["chunk"], last["timestamp"]) == ("5", "120"), "chunks count what was sent, times go on"


# --- Telnyx ---


def test_telnyx_changes_the_order_and_names_it() -> None:
    leg = opened(TelnyxLeg(FACTS, swap_every=3))
    chunks = [each["chunk"] for _ in range(8) for each in media(leg)]
    assert chunks == ["1", "2", "4", "3", "5", "7", "6", "8"]


def test_telnyx_takes_no_crumbs() -> None:
    leg = opened(TelnyxLeg(FACTS))
    crumb = base64.b64encode(b"\xff" * 100).decode()
    [error] = jsons(leg.receive(json.dumps({"event": "media", "media": {"payload": crumb}})))
    assert error["event"] == "error"
    assert sum(leg.dropped.values()) == 1
    assert leg.receive(json.dumps({"event": "media", "media": {"payload": ULAW}})) == []
    leg.receive('{"event":"mark","mark":{"name":"m"}}')
    assert leg.tick(SILENCE).played is not None
    leg.receive(json.dumps({"event": "media", "media": {"payload": ULAW}}))
    assert [each["mark"] for each in jsons(leg.receive('{"event":"clear"}'))] == [{"name": "m"}]
    assert leg.receive(b"audio") == []


def test_telnyx_plays_the_declared_codec_on_the_calls_leg() -> None:
    leg = TelnyxLeg(FACTS, encoding="PCMA", back="L16", back_hz=16_000)
    start = jsons(leg.begin())[1]
    assert start["start"]["media_format"] == {"encoding": "PCMA", "sample_rate": 8000, "channels": 1}
    big_endian = base64.b64encode(np.full(320, 1000, ">i2").tobytes()).decode()
    leg.receive(json.dumps({"event": "media", "media": {"payload": big_endian}}))
    played = leg.tick(SILENCE).played
    assert played is not None
    assert abs(int(played[80]) - 1000) < 5
    assert telnyx.ENCODINGS["PCMA"] == "pcma"


# --- Plivo ---


def plivo(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, "streamId": "stream-1", **fields})


def test_plivo_returns_checkpoints_only_when_they_were_played() -> None:
    leg = PlivoLeg(FACTS)
    [start] = jsons(leg.begin())
    assert (start["event"], start["sequenceNumber"], start["extra_headers"]) == ("start", 0, "token=t")
    sound = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": ULAW}
    leg.receive(plivo("playAudio", media=sound))
    leg.receive(plivo("checkpoint", name="a"))
    leg.receive(plivo("checkpoint", name="b"))
    leg.tick(SILENCE)
    returned = [each["name"] for each in jsons(leg.tick(SILENCE).messages) if each["event"] == "playedStream"]
    assert returned == ["a", "b"]
    leg.receive(plivo("playAudio", media=sound))
    leg.receive(plivo("checkpoint", name="c"))
    assert [each["event"] for each in jsons(leg.receive(plivo("clearAudio")))] == ["clearedAudio"]
    assert all(each["event"] == "media" for _ in range(3) for each in jsons(leg.tick(SILENCE).messages))


def test_plivo_plays_only_what_was_agreed() -> None:
    leg = PlivoLeg(FACTS)
    leg.receive(plivo("playAudio", media={"contentType": "audio/x-l16", "sampleRate": 8000, "payload": ULAW}))
    leg.receive('{"event":"clearAudio","streamId":"another"}')
    leg.receive(b"audio")
    assert sum(leg.dropped.values()) == 3
    leg.receive('{"event":"sendDTMF","dtmf":"12#"}')
    assert leg.sent_digits == "12#"
    assert jsons(leg.press("3"))[0]["dtmf"]["digit"] == "3"
    assert leg.hang_up() == []


# --- Vonage ---


def test_vonage_frames_and_notices() -> None:
    leg = VonageLeg(FACTS, rate_hz=16_000)
    assert jsons(leg.begin()) == [
        {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "token": "t"}
    ]
    assert leg.receive(b"\x01\x00" * 320) == []
    leg.receive('{"action":"notify","payload":{"mark":"m"}}')
    frame = np.arange(320, dtype=np.int16)
    assert leg.tick(frame).messages == [frame.tobytes()]
    assert jsons(leg.tick(frame).messages) == [{"event": "websocket:notify", "payload": {"mark": "m"}}]
    leg.receive(b"\x01\x00" * 100)
    assert leg.dropped == {"audio that is not 640 bytes": 1}
    leg.receive(b"\x01\x00" * 320)
    assert jsons(leg.receive('{"action":"clear"}')) == [{"event": "websocket:cleared"}]
    assert leg.tick(frame).played is None


def test_vonage_holds_3072_messages() -> None:
    leg = opened(VonageLeg(FACTS, rate_hz=8_000))
    for _ in range(BUFFER_MESSAGES + 3):
        leg.receive(b"\x01\x00" * 160)
    assert leg.dropped == {"more than 3072 messages buffered": 3}


# --- Exotel ---


def exotel_media(size: int) -> str:
    payload = base64.b64encode(b"\x01\x00" * (size // 2)).decode()
    return json.dumps({"event": "media", "stream_sid": "stream-1", "media": {"payload": payload}})


def test_exotel_sends_100_ms_and_takes_what_it_documents() -> None:
    leg = opened(ExotelLeg(FACTS))
    sent = [media(leg) for _ in range(10)]
    assert [len(each) for each in sent] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert (sent[9][0]["chunk"], sent[9][0]["timestamp"]) == (2, "100")
    assert len(base64.b64decode(sent[9][0]["payload"])) == 1600
    for size in (320, exotel.MOST_BYTES + 320, 3_201 + 1, 3_300):
        leg.receive(exotel_media(size))
    assert sum(leg.dropped.values()) == 4
    leg.receive(exotel_media(3_200))
    assert leg.tick(SILENCE).played is not None
    leg.receive('{"event":"mark","stream_sid":"stream-1","mark":{"name":"m"}}')
    [mark] = jsons(leg.receive('{"event":"clear","stream_sid":"stream-1"}'))
    assert mark["mark"] == {"name": "m"}
    leg.receive('{"event":"hello","stream_sid":"stream-1"}')
    assert sum(leg.dropped.values()) == 5


# --- Genesys ---


def genesys_server(seq: int, kind: str, client_seq: int = 1, **parameters: Any) -> str:
    fields = {"version": "2", "id": "stream-1", "type": kind, "seq": seq, "clientseq": client_seq}
    return json.dumps({**fields, "parameters": parameters})


MONO = [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}]


def genesys_open() -> GenesysLeg:
    leg = GenesysLeg(FACTS)
    leg.begin()
    assert leg.tick(LOUD).messages == [], "no media before opened"
    assert leg.receive(genesys_server(1, "opened", media=MONO)) == []
    return leg


def test_genesys_speaks_after_opened() -> None:
    leg = genesys_open()
    assert leg.tick(LOUD).messages == [g711.ulaw_encode(LOUD)]
    leg.receive(g711.ulaw_encode(LOUD))
    tick = leg.tick(LOUD)
    assert tick.played is not None
    assert [each["type"] for each in jsons(tick.messages)] == ["playback_started"]
    assert [each["type"] for each in jsons(leg.tick(LOUD).messages)] == ["playback_completed"]


def test_genesys_pings_and_wants_a_pong() -> None:
    leg = genesys_open()
    said = [each for _ in range(60) for each in jsons(leg.tick(SILENCE).messages)]
    [ping] = said
    assert (ping["type"], ping["seq"], ping["position"]) == ("ping", 2, "PT0.98S")
    leg.receive(genesys_server(2, "pong", 2))
    for _ in range(260):
        leg.tick(SILENCE)
    assert not leg.over
    for _ in range(260):
        leg.tick(SILENCE)
    assert "pong" in leg.over


def test_genesys_stops_at_a_barge_in() -> None:
    leg = genesys_open()
    leg.receive(g711.ulaw_encode(np.tile(LOUD, 50)))
    leg.tick(LOUD)
    leg.receive(genesys_server(2, "event", entities=[{"type": "barge_in", "data": {}}]))
    assert leg.tick(LOUD).played is None


def test_genesys_closes_in_order() -> None:
    leg = genesys_open()
    [close] = jsons(leg.receive(genesys_server(2, "disconnect", reason="completed", outputVariables={"a": "b"})))
    assert (close["type"], close["parameters"]) == ("close", {"reason": "end"})
    before = leg.over
    leg.receive(genesys_server(3, "closed", 2))
    assert (before, leg.over) == ("", "the call is closed")
    assert leg.outputs == {"a": "b"}


@pytest.mark.parametrize(
    "message",
    [
        genesys_server(3, "pong"),
        genesys_server(2, "pong", 9),
        genesys_server(2, "opened", media=MONO),
        genesys_server(2, "hello"),
        genesys_server(2, "pong").replace("stream-1", "other"),
        "{",
        "x" * 70_000,
        b"\xff" * (genesys.MOST_BYTES + 1),
    ],
)
def test_genesys_ends_what_breaks_the_rules(message: str | bytes) -> None:
    leg = genesys_open()
    assert jsons(leg.receive(message))[0]["type"] == "error"
    assert leg.over


def test_genesys_waits_five_seconds_for_opened() -> None:
    leg = opened(GenesysLeg(FACTS))
    for _ in range(250):
        leg.tick(SILENCE)
    assert not leg.over
    leg.tick(SILENCE)
    assert "open" in leg.over


def test_genesys_waits_ten_seconds_for_closed() -> None:
    leg = genesys_open()
    [close] = jsons(leg.hang_up())
    assert close["type"] == "close"
    for _ in range(501):
        leg.tick(SILENCE)
    assert "close" in leg.over


def test_genesys_sends_both_channels_in_packets_where_the_server_wants_them() -> None:
    leg = GenesysLeg(FACTS, packet_frames=2)
    leg.begin()
    both = [{"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}]
    leg.receive(genesys_server(1, "opened", media=both))
    assert leg.tick(LOUD).messages == []
    [packet] = leg.tick(LOUD).messages
    assert isinstance(packet, bytes)
    samples = g711.ulaw_decode(packet)
    assert (samples[::2] > 7_000).all()
    assert (samples[1::2] == 0).all()


def test_genesys_pauses_and_resumes_at_the_servers_word() -> None:
    leg = genesys_open()
    assert jsons(leg.receive(genesys_server(2, "pause")))[0]["type"] == "paused"
    assert leg.tick(LOUD).messages == []
    assert jsons(leg.receive(genesys_server(3, "resume")))[0]["type"] == "resumed"
    assert leg.tick(LOUD).messages != []
    assert leg.receive(genesys_server(4, "updated")) == []
    assert leg.receive(genesys_server(5, "event", entities="none")) == []
    assert not leg.over
    assert jsons(leg.press("1"))[0]["parameters"] == {"digit": "1"}
    assert len(jsons(leg.hang_up())) == 1
    assert leg.hang_up() == [], "once"


def test_genesys_takes_one_of_the_media_and_no_audio_before() -> None:
    early = GenesysLeg(FACTS)
    early.begin()
    assert jsons(early.receive(b"\xff"))[0]["parameters"]["code"] == 400
    greedy = GenesysLeg(FACTS)
    greedy.begin()
    assert jsons(greedy.receive(genesys_server(1, "opened", media=MONO * 2)))[0]["type"] == "error"


# --- jambonz ---


def test_jambonz_attributes_then_audio() -> None:
    leg = JambonzLeg(FACTS)
    [first] = jsons(leg.begin())
    assert (first["callSid"], first["sampleRate"], first["metadata"]) == (FACTS.call_id, 8000, {"token": "t"})
    leg.receive(LOUD.tobytes())
    leg.receive('{"type":"mark","data":{"name":"m"}}')
    assert leg.tick(LOUD).messages == [LOUD.tobytes()]
    assert jsons(leg.tick(LOUD).messages) == [{"type": "mark", "data": {"name": "m", "event": "playout"}}]
    leg.receive(LOUD.tobytes())
    leg.receive('{"type":"mark","data":{"name":"n"}}')
    assert jsons(leg.receive('{"type":"killAudio"}')) == [{"type": "mark", "data": {"name": "n", "event": "cleared"}}]
    assert leg.tick(LOUD).played is None
    leg.receive('{"type":"disconnect"}')
    assert leg.over


def test_jambonz_without_streaming_plays_clips() -> None:
    leg = opened(JambonzLeg(FACTS, streaming=False))
    leg.receive(LOUD.tobytes())
    audio = base64.b64encode(LOUD.tobytes()).decode()
    data = {"audioContent": audio, "audioContentType": "raw", "sampleRate": 8000, "id": "c"}
    leg.receive(json.dumps({"type": "playAudio", "data": data}))
    leg.tick(LOUD)
    assert jsons(leg.tick(LOUD).messages) == [{"type": "playDone", "data": {"id": "c"}}]
    assert leg.dropped == {"binary message without streaming": 1}
    leg.receive(json.dumps({"type": "playAudio", "data": data | {"audioContentType": "mp3"}}))
    assert sum(leg.dropped.values()) == 2
    leg.receive('{"type":"clearMarks"}')
    assert leg.press("7") == ['{"event":"dtmf","dtmf":"7","duration":"250"}']
    assert leg.hang_up() == []


def test_jambonz_may_return_marks_at_once() -> None:
    leg = opened(JambonzLeg(FACTS, hasty_marks=True))
    leg.receive(np.tile(LOUD, 50).tobytes())
    assert jsons(leg.receive('{"type":"mark","data":{"name":"m"}}'))[0]["data"]["event"] == "playout"


# --- FreeSWITCH ---


def test_freeswitch_plays_clips_one_after_the_other() -> None:
    leg = FreeswitchLeg(FACTS)
    assert jsons(leg.begin())[0]["uuid"] == FACTS.call_id
    clip = {"audioDataType": "raw", "sampleRate": 8000, "audioData": base64.b64encode(LOUD.tobytes()).decode()}
    for _ in range(2):
        leg.receive(json.dumps({"type": "streamAudio", "data": clip}))
    assert [leg.tick(LOUD).played is not None for _ in range(3)] == [True, True, False]
    for kind, data in (("wav", LOUD.tobytes()), ("mp3", b"ID3")):
        wrong = {"audioDataType": kind, "audioData": base64.b64encode(data).decode()}
        leg.receive(json.dumps({"type": "streamAudio", "data": wrong}))
    for text in (b"audio", '{"type":"killAudio"}', '{"type":"streamAudio","data":{"audioDataType":"raw"}}'):
        leg.receive(text)
    assert sum(leg.dropped.values()) == 5
    wav = base64.b64encode(encode_wav(LOUD, 8_000)).decode()
    leg.receive(json.dumps({"type": "streamAudio", "data": {"audioDataType": "wav", "audioData": wav}}))
    assert leg.tick(LOUD).played is not None
    assert leg.press("1") == [], "the open build passes no keys"
    assert FreeswitchLeg(FACTS, metadata=False).begin() == []


# --- Asterisk ---


def command(name: str, **fields: str) -> str:
    return json.dumps({"command": name, **fields})


def test_asterisk_starts_and_marks() -> None:
    leg = AsteriskLeg(FACTS, form="slin16")
    [start] = jsons(leg.begin())
    assert (start["event"], start["format"], start["optimal_frame_size"]) == ("MEDIA_START", "slin16", 640)
    assert start["channel_variables"]["token"] == "t"
    leg.receive(b"\x01\x00" * 320)
    leg.receive(command("MARK_MEDIA", correlation_id="m"))
    frame = np.zeros(320, np.int16)
    leg.tick(frame)
    [mark] = jsons(leg.tick(frame).messages)
    assert (mark["event"], mark["correlation_id"]) == ("MEDIA_MARK_PROCESSED", "m")
    assert jsons(leg.press("#"))[0] == {"event": "DTMF_END", "channel_id": FACTS.call_id, "digit": "#"}


def test_asterisk_flush_destroys_marks_but_not_the_drain_report() -> None:
    leg = opened(AsteriskLeg(FACTS))
    leg.receive(b"\x00" * 160 * 10)
    leg.receive(command("MARK_MEDIA", correlation_id="m"))
    leg.receive(command("REPORT_QUEUE_DRAINED"))
    leg.receive(command("FLUSH_MEDIA"))
    tick = leg.tick(SILENCE)
    assert tick.played is None
    assert [each["event"] for each in jsons(tick.messages)] == ["QUEUE_DRAINED"]
    assert jsons(leg.tick(SILENCE).messages) == []


def test_asterisk_drops_tails_unless_it_buffers() -> None:
    leg = opened(AsteriskLeg(FACTS))
    leg.receive(b"\x00" * 200)
    assert leg.playout.buffered_samples == 160
    assert leg.dropped == {"tail that fills no frame": 1}
    leg.receive(command("START_MEDIA_BUFFERING"))
    leg.receive(b"\x00" * 200)
    leg.receive(b"\x00" * 200)
    assert leg.playout.buffered_samples == 160 * 3
    leg.receive(command("STOP_MEDIA_BUFFERING", correlation_id="f"))
    assert leg.playout.buffered_samples == 160 * 4
    events = [each for _ in range(6) for each in jsons(leg.tick(SILENCE).messages)]
    assert [(each["event"], each["correlation_id"]) for each in events] == [("MEDIA_BUFFERING_COMPLETED", "f")]


def test_asterisk_says_xoff_then_drops_then_xon() -> None:
    leg = opened(AsteriskLeg(FACTS))
    assert jsons(leg.receive(b"\x00" * 160 * 400)) == []
    assert jsons(leg.receive(b"\x00" * 160 * 400)) == []
    assert jsons(leg.receive(b"\x00" * 160 * 150))[0]["event"] == "MEDIA_XOFF"
    leg.receive(b"\x00" * 160)
    assert leg.dropped == {"media after XOFF": 1}
    events = [(n, each["event"]) for n in range(200) for each in jsons(leg.tick(SILENCE).messages)]
    assert [event for _, event in events] == ["MEDIA_XON"]
    assert events[0][0] == 150, "950 queued, and 799 after 151 ticks"
    assert XOFF_FRAMES < QUEUE_FRAMES


def test_asterisk_limits_of_messages() -> None:
    leg = opened(AsteriskLeg(FACTS))
    leg.receive(command("MARK_MEDIA", correlation_id="x" * 200))
    assert leg.dropped == {"control text above 128 bytes": 1}
    leg.receive(b"\x00" * 65_501)
    assert "65500" in leg.over


def test_asterisk_in_plain_text() -> None:
    leg = AsteriskLeg(FACTS, control="plain")
    [start] = leg.begin()
    assert isinstance(start, str)
    assert start.startswith("MEDIA_START connection_id:stream-1 channel:WebSocket/")
    leg.receive("MARK_MEDIA m1")
    assert "MEDIA_MARK_PROCESSED m1" in leg.tick(SILENCE).messages
    [status] = leg.receive("GET_STATUS")
    assert isinstance(status, str)
    assert "queue_length:0" in status
    [error] = leg.receive("flush_media")
    assert isinstance(error, str)
    assert error.startswith("ERROR ")
    leg.receive("ANSWER")
    assert leg.answered
    leg.receive("START_MEDIA_BUFFERING")
    leg.receive("STOP_MEDIA_BUFFERING all")
    assert "MEDIA_BUFFERING_COMPLETED channel_id" not in str(leg.tick(SILENCE).messages)
    leg.receive("HANGUP")
    assert leg.over


def test_asterisk_queues_a_thousand_frames() -> None:
    leg = opened(AsteriskLeg(FACTS))
    for _ in range(2):
        leg.receive(b"\x00" * 160 * 400)
    leg.receive(b"\x00" * 160 * 400)
    assert leg.dropped == {"more than 1000 frames queued": 1}


def test_asterisk_pauses_and_turns_direction() -> None:
    leg = opened(AsteriskLeg(FACTS))
    leg.receive(b"\x00" * 160)
    leg.receive(command("PAUSE_MEDIA"))
    assert leg.tick(SILENCE).played is None
    leg.receive(command("CONTINUE_MEDIA"))
    assert leg.tick(SILENCE).played is not None
    leg.receive(command("SET_MEDIA_DIRECTION", direction="in"))
    leg.receive(b"\x00" * 160)
    assert leg.dropped == {"media with direction in": 1}
    assert jsons(leg.receive(command("PAUSE_MEDIA")))[0]["event"] == "ERROR"
    leg.receive(command("SET_MEDIA_DIRECTION", direction="out"))
    assert leg.tick(SILENCE).messages == []


# --- AudioSocket ---


def test_audiosocket_frames() -> None:
    leg = AudioSocketLeg(FACTS)
    assert leg.begin() == [b"\x01\x00\x10" + uuid.UUID(int=7).bytes]
    assert leg.tick(LOUD).messages == [b"\x10\x01\x40" + LOUD.tobytes()]
    sound = audiosocket.message(0x10, LOUD.tobytes())
    leg.receive(sound[:100])
    leg.receive(sound[100:] + sound[:2])
    leg.receive(sound[2:])
    assert leg.playout.buffered_ms == 40
    assert leg.press("9") == [b"\x03\x00\x019"]
    assert leg.hang_up() == [b"\x00\x00\x00"]


def test_audiosocket_loses_what_comes_too_early() -> None:
    leg = opened(AudioSocketLeg(FACTS))
    for _ in range(15):
        leg.receive(audiosocket.message(0x10, LOUD.tobytes()))
    assert sum(leg.dropped.values()) == 5


@pytest.mark.parametrize("wrong", [b"\x10\x00\x00", b"\x03\x00\x011", b"\x55\x00\x00", b"\x00\x00\x00"])
def test_audiosocket_ends_on_anything_else(wrong: bytes) -> None:
    leg = opened(AudioSocketLeg(FACTS))
    leg.receive(wrong)
    assert leg.over


@pytest.mark.parametrize(
    "make", [TwilioLeg, TelnyxLeg, PlivoLeg, VonageLeg, ExotelLeg, JambonzLeg, FreeswitchLeg, AsteriskLeg]
)
@pytest.mark.parametrize("message", ["", "null", '{"event":5}', '{"event":"media","media":[]}', "\x00", b"", b"\x01"])
def test_no_message_breaks_a_carrier(make: Callable[[CallFacts], Leg], message: str | bytes) -> None:
    leg = opened(make(FACTS))
    leg.receive(message)
    leg.tick(np.zeros(leg.rate_hz // 50, np.int16))
    assert not leg.over


@pytest.mark.parametrize(
    ("make", "key", "goodbye"),
    [
        (TelnyxLeg, {"digit": "8"}, ["stop"]),
        (VonageLeg, "8", ["websocket:disconnected"]),
        (ExotelLeg, {"digit": "8", "duration": "250"}, ["stop"]),
        (FreeswitchLeg, None, []),
        (AsteriskLeg, "8", []),
    ],
)
def test_keys_and_goodbyes(make: Callable[[CallFacts], Leg], key: object, goodbye: list[str]) -> None:
    leg = opened(make(FACTS))
    pressed = jsons(leg.press("8"))
    assert [each.get("dtmf", each.get("digit")) for each in pressed] == ([] if key is None else [key])
    assert [each["event"] for each in jsons(leg.hang_up())] == goodbye
    assert leg.over == "the caller hung up"


def test_plivo_in_another_rate_is_not_played() -> None:
    leg = PlivoLeg(FACTS)
    for media in (None, "x", {"contentType": "audio/x-mulaw", "sampleRate": 16000, "payload": ULAW}):
        leg.receive(plivo("playAudio", media=media))
    assert sum(leg.dropped.values()) == 3
