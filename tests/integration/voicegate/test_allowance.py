"""What a conversation does without while its process is under load."""

import asyncio

import numpy as np
import pytest

from tests.integration.voicegate.conftest import Begin
from voicegate.call import Call
from voicegate.kernel.audio import Frame
from voicegate.kernel.events import Event, ReplyFinished, TurnCommitted

LOUD: Frame = (8000 * np.sin(np.arange(320) * 0.2)).astype(np.int16)
SILENT: Frame = np.zeros(320, np.int16)


async def ask(call: Call) -> list[Event]:
    """Speak for half a second, be silent, hear the answer."""
    events: list[Event] = []
    call.subscribe(events.append)
    async with asyncio.timeout(10):
        for number in range(10_000):
            call.push_audio(LOUD if number < 25 else SILENT)
            call.take_frames()
            if any(isinstance(event, ReplyFinished) for event in events):
                return events
            await asyncio.sleep(0.02)
    raise AssertionError("no answer")


@pytest.mark.parametrize("speculation", [True, False])
async def test_without_speculation_the_agent_is_asked_when_the_turn_is_committed(
    begin: Begin, speculation: bool
) -> None:
    process = await begin()
    process.allowance.speculation = speculation
    call = await process.attach()
    events = await ask(call)
    (asked_at,) = process.agent.asked_at
    (committed,) = [event for event in events if isinstance(event, TurnCommitted)]
    assert (asked_at < committed.at) is speculation
    said = [event.text for event in events if isinstance(event, ReplyFinished)]
    assert len(said) == 1
    assert said[0].startswith("You said")
    call.hang_up("client")
    await call.ended()
