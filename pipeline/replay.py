"""A call's turn taking on paper: the machine's events as JSON lines, and what it ordered, computed anew. PURE.

The machine is a function of its settings and its events, so a recording replays to the same commands, bit for bit. The
first line holds the settings, every further line one event. :class:`Recorder` makes the lines while a call goes on
(``SessionSetup.record`` takes its :meth:`~Recorder.record`); :func:`read` and :func:`replay` take them back.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, get_args

import msgspec

from pipeline.turn import TurnMachine
from pipeline.turn_messages import TurnCommand, TurnEvent
from pipeline.turn_state import TurnConfig

FORMAT: Final = 1
"""Version of the lines. It rises when a recording of an earlier machine can no longer be read."""

_EVENTS: Final = {kind.__name__: kind for kind in get_args(TurnEvent)}


@dataclass(frozen=True, slots=True)
class Recording:
    """What a call's turn taking depended on."""

    config: TurnConfig
    first_turn: int
    events: tuple[TurnEvent, ...]


class Recorder:
    """Writes one call down as it happens. ``write`` gets each line, UTF-8 with its line feed; it must not raise."""

    def __init__(self, write: Callable[[bytes], None], config: TurnConfig, *, first_turn: int = 1) -> None:
        self._write = write
        write(_line({"format": FORMAT, "first_turn": first_turn, "config": config}))

    def record(self, event: TurnEvent) -> None:
        self._write(event_line(event))


def event_line(event: TurnEvent) -> bytes:
    """One event as a JSON line."""
    return _line({"event": type(event).__name__, **_fields(event)})


def command_line(command: TurnCommand) -> bytes:
    """One command as a JSON line."""
    return _line({"command": type(command).__name__, **_fields(command)})


def read(lines: Iterable[bytes]) -> Recording:
    """The recording in ``lines``, UTF-8. A last line that was cut off is left out: its process died while it wrote.

    Raises:
        ValueError: not a recording, or one of another format.
    """
    rows = [line for line in lines if line.strip()]
    if not rows:
        raise ValueError("an empty recording")
    try:
        head = msgspec.json.decode(rows[0], type=_Head)
    except msgspec.MsgspecError as error:
        raise ValueError(f"line 1 is not a recording's first line: {error}") from error
    if head.format != FORMAT:
        raise ValueError(f"format {head.format}: only {FORMAT} can be read")
    return Recording(head.config, head.first_turn, tuple(_events(rows)))


def replay(recording: Recording) -> Iterator[tuple[TurnEvent, list[TurnCommand]]]:
    """Each event with the commands it led to."""
    machine = TurnMachine(recording.config, first_turn=recording.first_turn)
    for event in recording.events:
        yield event, machine.handle(event)


class _Head(msgspec.Struct, frozen=True):
    format: int
    first_turn: int
    config: TurnConfig


def _events(rows: list[bytes]) -> Iterator[TurnEvent]:
    for number, row in enumerate(rows[1:], 2):
        try:
            fields = msgspec.json.decode(row, type=dict[str, object])
            kind = _EVENTS[str(fields.pop("event", None))]
            yield msgspec.convert(fields, kind)
        except (msgspec.MsgspecError, KeyError) as error:
            if number == len(rows) and not row.endswith(b"\n"):
                return
            raise ValueError(f"line {number} is not an event: {error}") from error


def _fields(message: TurnEvent | TurnCommand) -> dict[str, object]:
    return {name: getattr(message, name) for name in message.__slots__}


def _line(row: dict[str, object]) -> bytes:
    return msgspec.json.encode(row) + b"\n"
