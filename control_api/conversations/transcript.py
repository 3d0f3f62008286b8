"""A conversation's transcript as text and as WebVTT (W3C). PURE."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

_WORD_S = 0.4
"""How long a spoken word takes, about: of the caller's words only the end is known."""
_LEAST_S = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """What one side said in one turn."""

    turn: int
    role: Literal["user", "agent"]
    text: str
    at: datetime | None
    """When the caller's words were settled; when the agent began."""
    until: datetime | None = None
    """When the agent ended."""
    name: str = ""
    interrupted: bool = False


def to_text(lines: Iterable[Line]) -> str:
    """One line a side and turn."""
    return "".join(f"{_speaker(line)}: {_one_line(line.text)}{' —' if line.interrupted else ''}\n" for line in lines)


def to_webvtt(lines: Sequence[Line], started_at: datetime) -> str:
    """Cues in order, without overlap, each with its speaker as voice."""
    cues = ["WEBVTT\n"]
    free_s = 0.0
    for line in lines:
        begin_s, end_s = _span(line, started_at)
        begin_s = max(begin_s, free_s)
        end_s = free_s = max(end_s, begin_s + _LEAST_S)
        voice = _escape(_speaker(line)).replace(">", "")
        cues.append(f"{_time(begin_s)} --> {_time(end_s)}\n<v {voice}>{_escape(_one_line(line.text))}\n")
    return "\n".join(cues)


def _span(line: Line, started_at: datetime) -> tuple[float, float]:
    at_s = ((line.at or started_at) - started_at).total_seconds()
    spoken_s = max(_LEAST_S, len(line.text.split()) * _WORD_S)
    if line.role == "user":
        return max(0.0, at_s - spoken_s), at_s
    until_s = (line.until - started_at).total_seconds() if line.until else at_s + spoken_s
    return at_s, until_s


def _speaker(line: Line) -> str:
    return "Caller" if line.role == "user" else _one_line(line.name) or "Agent"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float) -> str:
    whole = timedelta(milliseconds=round(max(0.0, seconds) * 1000))
    hours, rest = divmod(int(whole.total_seconds() * 1000 + 0.5), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
