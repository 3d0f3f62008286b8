"""Messages of audio read in one pass say what the careful way says, or nothing."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.fields import number_in, object_in, read_object
from gateway.phone.media import MediaReader
from gateway.phone.payload import MAX_AUDIO_BYTES, audio_in

ALWAYS = MediaReader("streamSid")
OFTEN = MediaReader("stream_id", always_named=False)
PACKET = bytes(range(160))
TEXT = base64.b64encode(PACKET).decode()


def message(name: str = "streamSid", **changes: Any) -> str:
    media = {"track": "inbound", "chunk": "7", "timestamp": "120", "payload": TEXT} | changes.pop("media", {})
    fields = {"event": "media", "sequenceNumber": "9", name: "MZ1", "media": media} | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None})


def test_a_usual_message_is_read() -> None:
    media = ALWAYS.read(message(), "MZ1")
    assert media is not None
    assert (media.payload, media.timestamp, media.chunk, media.track) == (PACKET, 120, 7, "inbound")


def test_a_stream_that_is_not_named_is_ours_only_where_that_is_usual() -> None:
    assert ALWAYS.read(message(streamSid=None), "MZ1") is None
    assert OFTEN.read(message("stream_id", stream_id=None), "MZ1") is not None
    assert OFTEN.read(message("stream_id"), "MZ2") is None


@pytest.mark.parametrize(
    "unlike",
    [
        "",
        "[]",
        "{",
        message()[:-1],
        message(event="mark"),
        message(event=None),
        message(media={"track": "outbound"}),
        message(media={"payload": ""}),
        message(media={"payload": "AB"}),
        message(media={"payload": "A B="}),
        message(media={"payload": 5}),
        message(media={"timestamp": [1]}),
        message(media={"payload": base64.b64encode(bytes(MAX_AUDIO_BYTES + 1)).decode()}),
        message(streamSid=1),
        message(streamSid="MZ2"),
        "\ud800",
        "[" * 100_000,
    ],
)
def test_what_is_unlike_it_is_left_to_the_careful_way(unlike: str) -> None:
    assert ALWAYS.read(unlike, "MZ1") is None


DIGITS = st.from_regex(r"[-+ ]?[0-9]{1,18}(\.0|e1)?", fullmatch=True)
VALUES = st.one_of(
    st.none(), st.integers(-5, 10**18), st.text(max_size=8), st.booleans(), st.just(TEXT), st.floats(), DIGITS
)
MEDIA = st.dictionaries(st.sampled_from(["payload", "track", "timestamp", "chunk", "more"]), VALUES)


@given(MEDIA, st.sampled_from(["MZ1", "MZ2", None, 7]), st.sampled_from(["media", "start", None]))
def test_what_it_reads_is_what_the_careful_way_reads(media: dict[str, Any], stream: object, event: object) -> None:
    text = (
        json.dumps({"event": event, "streamSid": stream, "media": {"payload": TEXT} | media}, allow_nan=False)
        if all(value == value and value not in (float("inf"), float("-inf")) for value in media.values())
        else "{}"
    )
    found = ALWAYS.read(text, "MZ1")
    if found is None:
        return
    fields = read_object(text)
    careful = object_in(fields, "media")
    assert (fields["event"], fields["streamSid"]) == ("media", "MZ1")
    assert found.payload == audio_in(careful["payload"])
    assert careful.get("track", "inbound") == "inbound"
    for name in ("timestamp", "chunk"):
        expected = number_in(careful, name)  # none where a whole number is written as "5.0", which no carrier does
        assert expected is None or getattr(found, name) == expected
