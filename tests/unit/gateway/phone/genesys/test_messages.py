"""AudioHook's fields: what the reference implementation checks, and any object."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.genesys import messages as wire
from gateway.phone.genesys.messages import BadMessage

ENVELOPE: dict[str, Any] = {
    "version": "2",
    "id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "type": "ping",
    "seq": 1,
    "serverseq": 0,
    "position": "PT0S",
    "parameters": {},
}


def test_an_envelope() -> None:
    read = wire.read_envelope(ENVELOPE)
    assert (read.type, read.seq, read.serverseq, read.parameters) == ("ping", 1, 0, {})


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1"},
        {"version": 2},
        {"id": "with space"},
        {"id": ""},
        {"id": 5},
        {"type": None},
        {"seq": -1},
        {"seq": "1"},
        {"seq": True},
        {"seq": 1.0},
        {"serverseq": None},
        {"position": "0"},
        {"position": "PT1M"},
        {"position": 0},
        {"parameters": []},
    ],
)
def test_a_wrong_envelope(changed: dict[str, object]) -> None:
    with pytest.raises(BadMessage):
        wire.read_envelope({**ENVELOPE, **changed})


def test_durations() -> None:
    assert [wire.seconds(text) for text in ("PT0S", "PT12.5S", "PT.5S")] == [0.0, 12.5, 0.5]
    assert [wire.seconds(text) for text in ("", "PT", "PTS", "PT-1S", "PT1.S", "PT٣S", None, 1)] == [None] * 8


def media(form: str, *channels: str, rate: int = 8000) -> dict[str, object]:
    return {"type": "audio", "format": form, "channels": list(channels), "rate": rate}


OPEN: dict[str, Any] = {
    "organizationId": "d7934305-0972-4844-938e-9060eef73d05",
    "conversationId": "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    "participant": {"id": "883efee8-3d6c-4537-b500-6d7ca4b92fa0", "ani": "+1", "aniName": "", "dnis": "+2"},
    "media": [media("PCMU", "external", "internal"), media("L16", "external"), media("PCMU", "external")],
}


def test_the_caller_alone_is_chosen_before_both() -> None:
    chosen = wire.read_open(OPEN).media
    assert chosen is not None
    assert chosen.offer() == media("PCMU", "external")


@pytest.mark.parametrize(("channels", "caller"), [(("external", "internal"), 0), (("internal", "external"), 1)])
def test_of_two_channels_the_callers_is_found(channels: tuple[str, ...], caller: int) -> None:
    chosen = wire.read_open({**OPEN, "media": [media("PCMU", *channels)]}).media
    assert chosen is not None
    assert chosen.caller == caller


@pytest.mark.parametrize(
    "offers",
    [
        [],
        [None],
        [media("L16", "external")],
        [media("PCMU", "internal")],
        [media("PCMU", "external", rate=16000)],
        [{"type": "audio", "format": "PCMU", "rate": 8000}],
        [{"type": "video", "format": "PCMU", "rate": 8000, "channels": ["external"]}],
    ],
)
def test_what_we_cannot_hear_is_not_chosen(offers: list[object]) -> None:
    assert wire.read_open({**OPEN, "media": offers}).media is None


@pytest.mark.parametrize(
    "changed",
    [
        {"organizationId": None},
        {"conversationId": "a b"},
        {"participant": {}},
        {"participant": None},
        {"media": None},
        {"media": [None] * 33},
    ],
)
def test_a_wrong_open(changed: dict[str, object]) -> None:
    with pytest.raises(BadMessage):
        wire.read_open({**OPEN, **changed})


def test_the_other_parameters() -> None:
    assert wire.read_close({"reason": "end"}) == "end"
    assert wire.read_digit({"digit": "#"}) == "#"
    assert wire.read_error({"code": 429, "message": "", "retryAfter": "PT3S"}) == (429, 3.0)
    assert wire.read_error({"code": 400, "message": "x"}) == (400, None)
    wire.check_span({"start": "PT1S", "discarded": "PT0S"})


ANY = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
READERS = (wire.read_open, wire.read_close, wire.read_digit, wire.read_error, wire.check_span, wire.read_envelope)


@given(
    st.dictionaries(st.sampled_from(["reason", "digit", "code", "message", "start", "media", *ENVELOPE, *OPEN]), ANY)
)
def test_any_parameters_are_read_or_refused(parameters: dict[str, object]) -> None:
    for read in READERS:
        try:
            read(parameters)
        except BadMessage:
            continue
