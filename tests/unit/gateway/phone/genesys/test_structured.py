"""The structured fields of a signature: canonical text is read, everything else refused."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.genesys.structured import MAX_FIELD_CHARACTERS, BadField, parse_bytes, parse_lists


def test_an_inner_list_with_parameters() -> None:
    text = '("@authority" "x-api-key");keyid="a\\"b\\\\c";created=1618884473'
    read = parse_lists(f"sig1={text}")["sig1"]
    assert read.items == ("@authority", "x-api-key")
    assert read.parameters == {"keyid": 'a"b\\c', "created": 1618884473}
    assert read.text == text


def test_several_members() -> None:
    assert list(parse_lists('a=("x") \t, b=()')) == ["a", "b"]
    assert parse_bytes("a=:aGk=:,b=::") == {"a": b"hi", "b": b""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sig1",
        "sig1=",
        'sig1="a"',
        "sig1=(a)",
        'sig1=("a"  "b")',
        'sig1=("a""b")',
        'sig1=("a"',
        'sig1=("a";req)',
        'sig1=("a");x',
        'sig1=("a");x=',
        'sig1=("a");x=?1',
        'sig1=("a");x=1;x=2',
        'sig1=("a"),sig1=("b")',
        'sig1=("a"),',
        'sig1=("é")',
        'SIG=("a")',
        'sig1=("a") x',
    ],
)
def test_what_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(BadField):
        parse_lists(text)


@pytest.mark.parametrize("text", ["a=:a:", "a=:aGk=", "a=aGk=", "a=:aGk=:;x=1", "a=:a=Gk:"])
def test_what_is_no_byte_sequence_is_refused(text: str) -> None:
    with pytest.raises(BadField):
        parse_bytes(text)


def test_a_field_has_a_longest_length() -> None:
    with pytest.raises(BadField):
        parse_bytes("a=:" + "A" * MAX_FIELD_CHARACTERS + ":")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_lists, parse_bytes):
        with contextlib.suppress(BadField):
            parse(text)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.*-]{0,8}", fullmatch=True), st.binary(max_size=40), min_size=1))
def test_byte_sequences_survive(members: dict[str, bytes]) -> None:
    text = ", ".join(f"{label}=:{base64.b64encode(value).decode()}:" for label, value in members.items())
    assert parse_bytes(text) == members
