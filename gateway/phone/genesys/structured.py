"""The part of HTTP structured fields (RFC 8941) that ``Signature-Input`` and ``Signature`` use. Strict: what is not in
the canonical form of RFC 8941 section 4.1, but for optional whitespace around commas, is refused.

``sig1=("@authority" "x-api-key");keyid="k";created=1618884473`` is a dictionary of inner lists with parameters,
``sig1=:cGVw:`` one of byte sequences.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

MAX_FIELD_CHARACTERS: Final = 4_096
"""Longest header field that is read (our choice: ten times what a Genesys client sends)."""

Parameter: TypeAlias = str | int
_Member = TypeVar("_Member")

_KEY: Final = re.compile(r"[a-z*][a-z0-9_.*-]*")
_STRING: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")
_BYTES: Final = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")


class BadField(ValueError):
    """A header field that is not what RFC 8941 and this module allow."""


@dataclass(frozen=True, slots=True)
class InnerList:
    items: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    text: str
    """As it stood in the field: the value of ``@signature-params`` (RFC 9421 section 2.3)."""


def parse_lists(field: str) -> dict[str, InnerList]:
    """A dictionary whose members are inner lists of strings, with string and integer parameters.

    Raises:
        BadField: anything else.
    """
    reader = _Reader(field)
    return reader.members(reader.inner_list)


def parse_bytes(field: str) -> dict[str, bytes]:
    """A dictionary whose members are byte sequences without parameters.

    Raises:
        BadField: anything else.
    """
    reader = _Reader(field)
    return reader.members(reader.byte_sequence)


class _Reader:
    """A cursor over one field."""

    def __init__(self, field: str) -> None:
        if len(field) > MAX_FIELD_CHARACTERS:
            raise BadField(f"a field has at most {MAX_FIELD_CHARACTERS} characters")
        self._text = field.strip(" \t")
        self._at = 0

    def members(self, read: Callable[[], _Member]) -> dict[str, _Member]:
        found: dict[str, _Member] = {}
        while True:
            label = self._take(_KEY, "a label").group()
            self._literal("=")
            if label in found:
                raise BadField(f"the label {label!r} stands twice")
            found[label] = read()
            if self._at == len(self._text):
                return found
            self._take(_COMMA, "a comma")

    def inner_list(self) -> InnerList:
        start = self._at
        self._literal("(")
        items: list[str] = []
        while not self._found(")"):
            if items:
                self._literal(" ")
            items.append(self._string())
        parameters: dict[str, Parameter] = {}
        while self._found(";"):
            key = self._take(_KEY, "a parameter").group()
            self._literal("=")
            if key in parameters:
                raise BadField(f"the parameter {key!r} stands twice")
            parameters[key] = self._string() if self._peek() == '"' else int(self._take(_INTEGER, "a value").group())
        return InnerList(tuple(items), parameters, self._text[start : self._at])

    def byte_sequence(self) -> bytes:
        try:
            return base64.b64decode(self._take(_BYTES, "a byte sequence").group(1), validate=True)
        except binascii.Error:
            raise BadField("a byte sequence is not base64") from None

    def _string(self) -> str:
        return self._take(_STRING, "a string").group(1).replace('\\"', '"').replace("\\\\", "\\")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _found(self, literal: str) -> bool:
        here = self._text.startswith(literal, self._at)
        self._at += len(literal) * here
        return here

    def _literal(self, literal: str) -> None:
        if not self._found(literal):
            raise BadField(f"expected {literal!r} at character {self._at}")

    def _take(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise BadField(f"expected {what} at character {self._at}")
        self._at = match.end()
        return match
