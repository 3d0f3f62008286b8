"""A call outlives its stream and its gateway: Twilio asks our action, and the conversation goes on."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiocodecs.resample import resample_whole
from tests.e2e.phone.lines import Lines
from tests.e2e.voices import spoken, words
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.microphone import Utterance
from voicegate.kernel.audio import PIPELINE_RATE_HZ
from voicegate.kernel.events import Event, ReplyFinished, ReplyStarted, TurnCommitted

HOURS = "What are your opening hours?"
AGAIN = "Could you repeat that, please?"
"""Needs what was said before."""


@pytest.fixture
def own_lines(tmp_path: Path) -> Iterator[Lines]:
    gateway = Lines(tmp_path / "gateway")
    gateway.served.start()
    yield gateway
    gateway.served.close()


async def ask(call: PhoneCall, question: str) -> Utterance:
    return await call.speak(resample_whole(await spoken(question), PIPELINE_RATE_HZ, call.rate_hz))


def last_answer(events: list[Event]) -> str:
    """What the agent finished saying in the last turn that the caller spoke."""
    turn = [event.turn for event in events if isinstance(event, TurnCommitted)][-1]
    return " ".join(event.text for event in events if isinstance(event, ReplyFinished) and event.turn == turn)


def _story(events: list[Event]) -> str:
    """For a failure's message."""
    return "\n".join(f"{event.seq} {event.at:%S.%f} {event}" for event in events)


async def test_the_conversation_goes_on(own_lines: Lines) -> None:
    """The stream is cut in the middle of an answer, then the gateway is killed and started again."""
    served = own_lines.served
    async with PhoneCall(own_lines.target("twilio")) as call:
        await call.greeting_over()
        hours = await ask(call, HOURS)
        assert await call.until(lambda: call.tape.agent_end > hours.end, 15.0), "the answer begins"
        await call.wait_s(1.0)
        call.cut()
        assert await call.until(lambda: call.streams == 2, 15.0), "Twilio comes back by our action"
        await call.wait_s(1.0)
        await call.quiet()
        await asyncio.to_thread(served.stop, signal.SIGKILL)
        await asyncio.to_thread(served.start)
        assert await call.until(lambda: call.streams == 3, 30.0), "and to another process"
        await call.wait_s(1.0)
        await call.quiet()
        again = await ask(call, AGAIN)
        assert await call.until(lambda: call.tape.agent_end > again.end, 15.0), "and is answered"
        await call.quiet()
        await call.hang_up()
    session = await asyncio.to_thread(own_lines.session_of, call)
    events = await asyncio.to_thread(own_lines.ended, session)
    assert {"nine", "saturday"} <= words(last_answer(events)), f"it has forgotten\n{_story(events)}"
    kinds = [event.kind for event in events if isinstance(event, ReplyStarted)]
    assert kinds.count("greeting") == 1, "and does not greet again"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert "Traceback" not in served.log
