"""Arguments of a tool, as models and callers give them, against what the tool takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.tool_arguments import complaints, fitted

TAKES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 5},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "share": {"type": "number"},
        "yes": {"type": "boolean"},
        "names": {"type": "array", "items": {"type": "string"}},
        "size": {"type": "string", "enum": ["small", "large"]},
    },
    "required": ["text"],
}


@pytest.mark.parametrize(
    ("name", "given_value", "fits"),
    [
        ("text", 7, "7"),
        ("text", 2.5, "2.5"),
        ("text", 2.0, "2"),
        ("text", True, True),
        ("count", "7", 7),
        ("count", "7.5", 7.5),
        ("count", "seven", "seven"),
        ("count", 7.0, 7),
        ("count", 7.5, 7.5),
        ("share", "0.5", 0.5),
        ("yes", " Yes ", True),
        ("yes", "no", False),
        ("yes", "perhaps", "perhaps"),
        ("names", ["a"], ["a"]),
    ],
)
def test_notation_is_mended(name: str, given_value: object, fits: object) -> None:
    got = fitted(TAKES, {name: given_value})[name]
    assert (got, type(got)) == (fits, type(fits))


def test_what_is_unknown_or_null_is_left_out() -> None:
    assert fitted(TAKES, {"text": "a", "nobody": 1, "count": None}) == {"text": "a"}


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        ({}, "text: it is missing"),
        ({"text": True}, "text: it must be of type string"),
        ({"text": ["a"]}, "text: it must be of type string"),
        ({"text": "\ud800"}, "text: it must be of type string"),
        ({"text": "a", "names": ["\udfff"]}, "names: it must hold values of type string"),
        ({"text": "abcdef"}, "text: it must have at most 5 characters"),
        ({"text": "a", "count": "seven"}, "count: it must be of type integer"),
        ({"text": "a", "count": 7.5}, "count: it must be of type integer"),
        ({"text": "a", "count": True}, "count: it must be of type integer"),
        ({"text": "a", "count": 0}, "count: it must be between 1 and 9"),
        ({"text": "a", "count": 10}, "count: it must be between 1 and 9"),
        ({"text": "a", "share": "nan"}, "share: it must be of type number"),
        ({"text": "a", "share": "1e999"}, "share: it must be of type number"),
        ({"text": "a", "yes": "perhaps"}, "yes: it must be of type boolean"),
        ({"text": "a", "names": ["a", 1]}, "names: it must hold values of type string"),
        ({"text": "a", "size": "huge"}, "size: it must be one of small, large"),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, object], about: str) -> None:
    assert complaints(TAKES, fitted(TAKES, arguments)) == [about]


def test_what_fits() -> None:
    good = {"text": "abc", "count": 9, "share": -1.5, "yes": True, "names": ["a", "b"], "size": "large"}
    assert complaints(TAKES, fitted(TAKES, good)) == []
    assert complaints({"properties": {"yes": {"type": "boolean", "maximum": 0}}}, {"yes": True}) == []


_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_ANYTHING = st.recursive(_PLAIN, st.lists, max_leaves=8)


@given(st.dictionaries(st.sampled_from(list(TAKES["properties"])), _ANYTHING))
def test_whatever_comes_there_is_an_answer_and_mending_is_done_once(arguments: dict[str, Any]) -> None:
    once = fitted(TAKES, arguments)
    if not complaints(TAKES, once):
        assert fitted(TAKES, once) == once
