"""What a POST asks for beside its offer."""

import pytest

from gateway.conversation import Resume
from gateway.webrtc.wanted import read_wanted
from voicegate.kernel.errors import RefusedCall

SECRET = {"Voicegate-Resume-Secret": "s3cret"}


def test_nothing() -> None:
    wanted = read_wanted({}, {})
    assert (wanted.agent, wanted.greeting, wanted.resume) == ("", True, None)
    assert len(wanted.session_id) == 36
    assert wanted.session_id != read_wanted({}, {}).session_id


def test_everything() -> None:
    wanted = read_wanted(
        {"session": "s1", "agent": "amelia", "greeting": "false"}, SECRET | {"Voicegate-Last-Seq": "41"}
    )
    assert (wanted.session_id, wanted.agent, wanted.greeting) == ("s1", "amelia", False)
    assert wanted.resume == Resume("s3cret", 41)


def test_a_resume_from_the_beginning() -> None:
    assert read_wanted({"session": "s1"}, SECRET).resume == Resume("s3cret", 0)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"agent": "a" * 65}, {}),
        ({"greeting": "no"}, {}),
        ({}, SECRET),
        ({"session": "s"}, {"Voicegate-Resume-Secret": ""}),
        ({"session": "s"}, {"Voicegate-Resume-Secret": "x" * 257}),
        ({"session": "s"}, SECRET | {"Voicegate-Last-Seq": "-1"}),
        ({"session": "s"}, SECRET | {"Voicegate-Last-Seq": "²"}),
        ({"session": "s"}, SECRET | {"Voicegate-Last-Seq": "1" * 16}),
    ],
)
def test_what_is_refused(query: dict[str, str], headers: dict[str, str]) -> None:
    with pytest.raises(RefusedCall) as refused:
        read_wanted(query, headers)
    assert refused.value.code == "bad_request"
