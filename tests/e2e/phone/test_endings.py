"""Calls that end as real ones do: callers hang up in the middle of a word, and lines are lost."""

import asyncio

from tests.e2e.phone.lines import Lines
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PHONES, PhoneVia
from voicegate.kernel.events import ReplyInterrupted, ReplyStarted, SessionEnded

RETURNING = ("twilio",)
"""Its lost stream comes back, see ``test_twilio_returns.py``."""


async def _in_the_greeting(lines: Lines, via: PhoneVia, *, lost: bool) -> tuple[str, str]:
    """Leave while the agent greets; the call's session, and why the carrier's call was over."""
    async with PhoneCall(lines.target(via)) as call:
        assert await call.until(lambda: call.tape.agent_end > 0, 10.0), f"{via}: the agent did not greet"
        await call.wait_s(0.5)
        if lost:
            call.cut()
            await call.until(lambda: call.failure is not None, 5.0, broken=False)
        else:
            await call.hang_up()
    return await asyncio.to_thread(lines.session_of, call), call.failure or ""


async def test_callers_hang_up_in_the_middle_of_a_word(lines: Lines) -> None:
    held = await asyncio.gather(*(_in_the_greeting(lines, via, lost=False) for via in PHONES))
    for via, (session, failure) in zip(PHONES, held, strict=True):
        events = await asyncio.to_thread(lines.ended, session)
        ended = events[-1]
        assert isinstance(ended, SessionEnded)
        assert ended.reason == "caller", (via, ended.reason)
        [cut] = [event for event in events if isinstance(event, ReplyInterrupted)]
        assert cut.cut, f"{via}: most of the greeting was never heard"
        assert failure, via


async def test_lost_lines_end_calls_and_nothing_else(lines: Lines) -> None:
    vias = [via for via in PHONES if via not in RETURNING]
    held = await asyncio.gather(*(_in_the_greeting(lines, via, lost=True) for via in vias))
    for via, (session, failure) in zip(vias, held, strict=True):
        assert failure, via
        events = await asyncio.to_thread(lines.served.events, session)
        assert sum(isinstance(event, ReplyStarted) for event in events) == 1, via
    assert lines.served.alive
    assert "Traceback" not in lines.served.log
