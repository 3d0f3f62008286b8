"""Logs: what stands in a line, and what never does."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from voicegate.kernel.observability.logs import LogConfig, configure_logs


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logged(config: LogConfig | None = None, **fields: Any) -> dict[str, Any]:
    stream = io.StringIO()
    configure_logs(config or LogConfig(), stream)
    structlog.get_logger("t").info("it happened", **fields)
    (line,) = lines(stream)
    return line


def test_a_line_has_event_level_time_and_the_session() -> None:
    with structlog.contextvars.bound_contextvars(session_id="s1"):
        line = logged(code=3)
    assert line["event"] == "it happened"
    assert line["level"] == "info"
    assert line["session_id"] == "s1"
    assert line["code"] == 3
    assert line["timestamp"].endswith("Z")


SECRETS: list[tuple[str, Any]] = [
    ("authorization", "Bearer abc"),
    ("Authorization", "abc"),
    ("resumeSecret", "abc"),
    ("token", "abc"),
    ("api_key", "abc"),
    ("Sec-WebSocket-Protocol", "voice.v1, voicegate.token.abc"),
    ("header", "authorization: Bearer abc"),
    ("protocols", ["voice.v1", "voicegate.token.abc"]),
    ("event_text", "got vg1.abc.def from a client"),
    ("url", "wss://h/voice/1?token=abc"),
    ("redis", "redis://:abc@host:1"),
    ("nested", {"deep": [{"password": "abc"}, "key sk-abc4567890123456789"]}),
    ("raw", b"Bearer abc"),
    ("error", ValueError("refused Bearer abc")),
]


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_secrets_are_redacted(name: str, value: Any) -> None:
    line = logged(**{name: value})
    assert "abc" not in json.dumps(line)
    assert "[redacted]" in json.dumps(line)


def test_counts_of_tokens_are_no_secrets() -> None:
    line = logged(input_tokens=5, tokens=6, keyboard="k")
    assert (line["input_tokens"], line["tokens"], line["keyboard"]) == (5, 6, "k")


def test_a_traceback_is_redacted() -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(), stream)
    try:
        raise ValueError("no good: Bearer abc123")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(stream)
    assert "ValueError" in line["exception"]
    assert "abc123" not in line["exception"]


@pytest.mark.parametrize("name", ["text", "transcript", "heard"])
def test_what_people_said_is_dropped_outside_pii_even_where_pii_is_on(name: str) -> None:
    assert name not in logged(LogConfig(pii=True), **{name: "my name is Ann"})


def test_pii_only_where_it_is_on() -> None:
    assert "pii" not in logged(pii={"text": "my name is Ann"})
    assert logged(LogConfig(pii=True), pii={"text": "my name is Ann"})["pii"] == {"text": "my name is Ann"}


def test_levels() -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(level="warning"), stream)
    structlog.get_logger().info("no")
    structlog.get_logger().warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_libraries_go_the_same_way() -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(), stream)
    logging.getLogger("aiohttp.x").warning("offered %s", "voicegate.token.abc")
    logging.getLogger("aiohttp.x").info("below what libraries may say")
    (line,) = lines(stream)
    assert line["event"] == "offered voicegate.token.[redacted]"
    assert line["logger"] == "aiohttp.x"
    assert line["level"] == "warning"


def test_console() -> None:
    stream = io.StringIO()
    configure_logs(LogConfig(json=False), stream)
    structlog.get_logger().info("hello", token="abc")
    assert "hello" in stream.getvalue()
    assert "abc" not in stream.getvalue()
