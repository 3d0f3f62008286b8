"""A call on paper is the call: the same events, the same commands, bit for bit."""

from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.endpointing import EndpointingConfig
from pipeline.ports import Transcription
from pipeline.replay import Recorder, Recording, command_line, event_line, read, replay
from pipeline.turn import TurnMachine
from pipeline.turn_messages import CallBegan, MarkAnswered, SpeechBegan, SpeechEnded, TextGiven, TimePassed, TurnEvent
from pipeline.turn_state import TurnConfig

CONFIG = TurnConfig(endpointing=EndpointingConfig(finished_s=0.3), speculate=False, fillers=3)

CALL: list[TurnEvent] = [
    CallBegan(0.1 + 0.2, "greeting"),
    SpeechBegan(1.1, 1.0, 0.25),
    SpeechEnded(2.1, 2.0, 1.0),
    MarkAnswered(2.2, 1, Transcription("Größe 42, bitte.", -1 / 3, None)),
    TimePassed(2.3),
    TextGiven(2.6, "line\nfeed", "text"),
]


def recorded(events: Sequence[TurnEvent], config: TurnConfig = CONFIG, first_turn: int = 7) -> list[bytes]:
    lines: list[bytes] = []
    recorder = Recorder(lines.append, config, first_turn=first_turn)
    for event in events:
        recorder.record(event)
    return lines


SECONDS = st.floats(allow_nan=False, allow_infinity=False)
"""No clock gives anything else, and JSON has no word for it."""

FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    float: SECONDS,
    float | None: st.none() | SECONDS,
    Transcription: st.builds(Transcription, st.text(), st.none() | SECONDS, st.none() | SECONDS),
}


def any_event(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: FIELDS.get(hint, st.from_type(hint)) for name, hint in hints.items()})


def test_replayed_bit_for_bit() -> None:
    machine = TurnMachine(CONFIG, first_turn=7)
    live = [b"".join(map(command_line, machine.handle(event))) for event in CALL]
    assert any(b"CommitTurn" in commands for commands in live)
    again = list(replay(read(recorded(CALL))))
    assert [event for event, _ in again] == CALL
    assert [b"".join(map(command_line, commands)) for _, commands in again] == live


def test_one_line_an_event_of_plain_json() -> None:
    lines = recorded(CALL)
    assert len(lines) == len(CALL) + 1
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert msgspec.json.decode(lines[2]) == {"event": "SpeechBegan", "at": 1.1, "since": 1.0, "left_s": 0.25}
    assert read(lines) == Recording(CONFIG, 7, tuple(CALL))


@given(st.one_of([any_event(kind) for kind in get_args(TurnEvent)]))
def test_every_event_comes_back(event: TurnEvent) -> None:
    assert read([*recorded([]), event_line(event)]).events == (event,)


def test_blank_lines_are_nothing() -> None:
    assert read([*recorded(CALL[:1]), b"\n"]).events == (CALL[0],)


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    lines = recorded(CALL)
    for length in range(1, len(lines[-1]) - 1):
        assert read([*lines[:-1], lines[-1][:length]]).events == tuple(CALL[:-1])


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"\n"],
        [b"no json\n"],
        [b'{"format": 2, "first_turn": 1, "config": {}}\n'],
        [event_line(CALL[0])],
        [*recorded([]), b'{"event": "Nothing", "at": 1.0}\n'],
        [*recorded([]), b'{"at": 1.0}\n'],
        [*recorded([]), b'{"event": "TimePassed", "at": "late"}\n'],
        [*recorded([]), b'{"event": "TimePa', event_line(CALL[0])],
    ],
)
def test_what_is_no_recording_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"recording|format|line"):
        read(lines)
