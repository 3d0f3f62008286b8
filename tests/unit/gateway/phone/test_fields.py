"""Fields of a stranger's JSON: bounded, typed, never an error but one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.fields import (
    MAX_FIELD_CHARACTERS,
    MAX_PARAMETERS,
    direction_in,
    key_in,
    number_in,
    object_in,
    parameters_in,
    query_in,
    read_object,
    text_in,
)
from gateway.phone.messages import ProtocolViolation

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_an_object_is_read() -> None:
    assert read_object('{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a":1}x', "[" * 200_000, '"\ud800"', '{"a":\ud800}'])
def test_what_is_no_object_ends_the_connection(text: str) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        read_object(text)
    assert violation.value.code == "not_json"


def test_text() -> None:
    assert text_in({"a": "", "b": "x"}, "a", "b") == "x"
    assert text_in({"a": 7}, "a") == "7"
    assert text_in({"a": True, "b": ["x"]}, "a", "b", "c") == ""
    assert text_in({"a": "x" * 300}, "a") == "x" * MAX_FIELD_CHARACTERS


def test_numbers() -> None:
    assert number_in({"a": 7}, "a") == number_in({"a": "7"}, "a") == 7
    for other in (True, "x", "", "-1", "٣", "1" * 17, 1.5, None):
        assert number_in({"a": other}, "a") is None


def test_keys_and_directions() -> None:
    assert [key_in({"d": each}, "d") for each in ("5", 5, "a", "#", "12", "E", None)] == [
        "5",
        "5",
        "A",
        "#",
        "",
        "",
        "",
    ]
    assert [direction_in({"d": each}, "d") for each in ("inbound", "outbound", "up", None)] == [
        "inbound",
        "outbound",
        "",
        "",
    ]


def test_parameters_are_few_and_short() -> None:
    many = {f"p{n}": "x" * 999 for n in range(99)}
    found = parameters_in(many)
    assert len(found) == MAX_PARAMETERS
    assert {len(value) for value in found.values()} == {MAX_FIELD_CHARACTERS}
    odd = {"": "x", "n" * 65: "x", "own": "x", "list": [1], "none": None, "yes": True, "no": False, "one": 1}
    assert parameters_in(odd, without={"own"}) == {"yes": "true", "no": "false", "one": "1"}


def test_a_query() -> None:
    assert query_in("a=1&b=%C3%A9&a=2&c") == {"a": "2", "b": "é"}
    assert query_in("&".join("a=1" for _ in range(99))) == {}


@given(st.dictionaries(st.text(), JSON))
def test_any_object_gives_bounded_values(fields: dict[str, object]) -> None:
    read = read_object(json.dumps(fields))
    for name in [*read, "missing"]:
        assert len(text_in(read, name)) <= MAX_FIELD_CHARACTERS
        assert isinstance(object_in(read, name), dict)
        assert isinstance(number_in(read, name), int | None)
        assert len(key_in(read, name)) <= 1
    assert len(parameters_in(read)) <= MAX_PARAMETERS
