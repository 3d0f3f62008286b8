"""The bounds of an SDP body, looked at before anything parses it. Pure, and linear in the body's size.

SDP is text of a stranger. Counting bytes, lines and keywords costs microseconds whatever is in it; only what passes is
split into lines and read.
"""

from dataclasses import dataclass

from voicegate.kernel.errors import RefusedCall

MAX_LINE_CHARACTERS = 2_048


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one body may have. Our choice: ten times what browsers send for audio and a data channel."""

    size_bytes: int
    lines: int
    candidates: int
    sections: int


OFFER_BOUNDS = Bounds(size_bytes=65_536, lines=1_000, candidates=100, sections=8)
FRAGMENT_BOUNDS = Bounds(size_bytes=16_384, lines=250, candidates=50, sections=8)


def bounded_lines(body: bytes, bounds: Bounds) -> list[str]:
    """The non-empty lines of ``body`` without their ends.

    Raises:
        RefusedCall: ``too_large`` above a bound, ``bad_sdp`` where it is no text or a line is too long.
    """
    if len(body) > bounds.size_bytes:
        raise RefusedCall("too_large", f"at most {bounds.size_bytes} bytes are read")
    _check(body.count(b"\n"), bounds.lines, "lines")
    _check(body.count(b"a=candidate:"), bounds.candidates, "candidates")
    _check(body.count(b"m="), bounds.sections * 4, "media sections")  # "m=" also stands inside other lines
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise RefusedCall("bad_sdp", "SDP is UTF-8 text") from None
    if "\0" in text:
        raise RefusedCall("bad_sdp", "SDP has no NUL characters")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if max(map(len, lines)) > MAX_LINE_CHARACTERS:
        raise RefusedCall("bad_sdp", f"a line has at most {MAX_LINE_CHARACTERS} characters")
    _check(sum(line.startswith("m=") for line in lines), bounds.sections, "media sections")
    return [line for line in lines if line]


def _check(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise RefusedCall("too_large", f"at most {limit} {what} are read")
