"""``docs/protocols.md`` says what the code does."""

import dataclasses
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gateway.close_codes import close_table_markdown
from gateway.config import GatewayConfig
from gateway.problems import refusal_table_markdown
from gateway.websocket import protocol
from gateway.websocket.limits import SocketLimits
from gateway.websocket.messages import TYPES, Message
from voicegate.kernel.events import Event

PAGE = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text()


def row(first: str) -> list[str]:
    """Cells of the one table row that begins with this name."""
    (found,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{first}` |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_close_codes_and_refusals() -> None:
    assert close_table_markdown() in PAGE
    assert refusal_table_markdown() in PAGE


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_events(kind: type[msgspec.Struct]) -> None:
    own = [
        field.encode_name
        for field in msgspec.structs.fields(kind)
        if field.name not in ("session_id", "seq", "at", "turn")
    ]
    tag = str(kind.__struct_config__.tag)
    rows = [line.split("|")[2] for line in PAGE.splitlines() if line.startswith(f"| `{tag}` |")]
    assert [re.findall(r"`(\w+)`", cells) for cells in rows] == [own]


@pytest.mark.parametrize("kind", get_args(Message), ids=lambda kind: kind.__name__)
def test_commands(kind: type[msgspec.Struct]) -> None:
    tag = str(kind.__struct_config__.tag)
    assert tag in TYPES
    cell = row(tag)[1]
    for field in msgspec.structs.fields(kind):
        assert f"`{field.encode_name}`" in cell


def test_every_command_has_its_row() -> None:
    assert {str(kind.__struct_config__.tag) for kind in get_args(Message)} == TYPES


@pytest.mark.parametrize("encoding", protocol.FORMATS)
def test_formats(encoding: str) -> None:
    assert row(encoding)[1] == ", ".join(map(str, protocol.FORMATS[encoding]))


def test_limits() -> None:
    limits = {field.name: field.default for field in dataclasses.fields(SocketLimits)}
    config = {field.name: field.default for field in dataclasses.fields(GatewayConfig)}
    for name in ("max_connections", "connections_per_s", "connection_burst"):
        limits[name] = config[name]
    for name, default in limits.items():
        assert float(row(name)[1]) == default


@pytest.mark.parametrize(
    "bound",
    [protocol.MAX_TEXT_MESSAGE_BYTES, protocol.MAX_TYPED_CHARACTERS, protocol.MAX_REFUSALS, protocol.MAX_DIGITS],
)
def test_bounds_are_named(bound: int) -> None:
    assert re.search(rf"\b{bound}\b", PAGE)
