"""Basic authentication: right, wrong, missing, and any header."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.credentials import vouched
from voicegate.kernel.errors import RefusedCall


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def headers(header: str) -> dict[str, str]:
    return {"authorization": header}


def test_the_right_user_and_password() -> None:
    assert vouched(headers(basic("pbx:pässword")), "pbx:pässword")


def test_where_none_are_expected_nothing_is_proved() -> None:
    assert not vouched(headers(basic("pbx:password")), "")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "unauthorized"),
        ("Bearer x", "unauthorized"),
        (basic("pbx:other"), "forged"),
        (basic("pbx:password") + "x", "forged"),
        ("Basic é", "forged"),
        ("Basic", "forged"),
    ],
)
def test_others_are_refused(header: str, code: str) -> None:
    with pytest.raises(RefusedCall) as refusal:
        vouched(headers(header), "pbx:password")
    assert refusal.value.code == code


@given(st.text())
def test_any_header_is_refused_in_words(text: str) -> None:
    for header in (text, "Basic " + text):
        with pytest.raises(RefusedCall):
            vouched(headers(header), "pbx:password")
