"""What the turn machine's tables share: how a row is played."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest

from pipeline.endpointing import EndpointingConfig
from pipeline.turn import TurnMachine
from pipeline.turn_messages import TurnCommand, TurnEvent
from pipeline.turn_state import TurnConfig

Step: TypeAlias = tuple[TurnEvent, list[TurnCommand]] | tuple[TurnEvent, list[TurnCommand], float | None]
Play: TypeAlias = Callable[..., TurnMachine]


ENDPOINTING = EndpointingConfig(finished_s=0.25, unsure_s=0.55, unfinished_s=1.1)
"""Fixed here, so that the tables' times do not move with what is measured to be best."""


def _play(steps: Sequence[Step], **settings: Any) -> TurnMachine:
    machine = TurnMachine(TurnConfig(endpointing=ENDPOINTING, **settings))
    for number, (event, commands, *deadline) in enumerate(steps):
        assert machine.handle(event) == commands, f"step {number}: {event}"
        if deadline:
            wanted = deadline[0]
            assert machine.deadline == (wanted if wanted is None else pytest.approx(wanted)), f"step {number}: {event}"
    return machine


@pytest.fixture
def play() -> Play:
    """Plays steps of (event, commands) or (event, commands, deadline afterwards), with these settings."""
    return _play
