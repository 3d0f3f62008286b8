"""Ten carriers call, some at the same time: each caller is answered in words, and the gateway knows what was heard."""

import asyncio
from dataclasses import dataclass, field

import pytest

from audiocodecs.resample import resample_whole
from tests.e2e.phone.lines import Lines
from tests.e2e.voices import share_understood, spoken, words
from voicegate.client.carriers.audiosocket import TOO_EARLY
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PHONES, PhoneVia
from voicegate.client.microphone import Utterance
from voicegate.commands.listening import understand
from voicegate.kernel.audio import PIPELINE_RATE_HZ
from voicegate.kernel.events import (
    Event,
    ReplyFinished,
    ReplyStarted,
    SessionEnded,
    SessionStarted,
    TurnCommitted,
)

HOURS = "What are your opening hours?"
GOODBYE = "Thank you, goodbye."
KEYS = "42#"
KEYLESS = ("freeswitch",)
MOST_BUFFERED_MS = 1_500
"""The gateway stays 200 ms ahead by its own clock; what this machine is late itself comes on top."""
CALLED = "+15559990000"
EAR_UNDERSTANDS = 0.4
"""Share of the answer's words. Speech to text mishears a fifth to a third of the embedded voice at 8 kHz by itself."""
AT_ONCE = 10
"""Calls at a time: each is a carrier, a caller and his ear in this process, and a whole pipeline in the gateway's."""

pytestmark = pytest.mark.alone


@dataclass
class Held:
    """A call that is over."""

    session: str = ""
    events: list[Event] = field(default_factory=list)
    understood: str = ""
    """What a listener at the caller's ear makes of the answer."""
    dropped: dict[str, int] = field(default_factory=dict)
    most_buffered_ms: float = 0.0
    failure: str = ""
    streams: int = 0
    error: BaseException | None = None


async def hold(lines: Lines, via: PhoneVia, number: int) -> Held:
    """Greeting, a question, its answer, three keys and their answer, goodbye; then the agent hangs up.

    Twilio sends nothing while its caller is silent.
    """
    held = Held()
    quirks = {"silence_after_ms": 60} if via == "twilio" else {}
    async with PhoneCall(lines.target(via, caller=f"+1555888{number:04}", called=CALLED, **quirks)) as call:
        await call.greeting_over()
        asked = await _say(call, HOURS)
        assert await call.reply_over(asked, timeout_s=30), "the call did not come to rest"
        answer = call.tape.agent(asked.end)
        if via not in KEYLESS:
            call.press(KEYS)
            await call.until(lambda: call.tape.agent_end > asked.end + answer.size, 10.0)
            await call.quiet()
        leg = call.leg
        await _say(call, GOODBYE)
        await call.until(lambda: call.failure is not None, 20.0, broken=False)
        held.dropped, held.most_buffered_ms = dict(leg.dropped), leg.playout.most_ms
        held.failure, held.streams = call.failure or "", call.streams
    [held.understood] = await understand([answer], call.rate_hz)
    held.session = await asyncio.to_thread(lines.session_of, call)
    held.events = await asyncio.to_thread(lines.ended, held.session)
    return held


async def _say(call: PhoneCall, text: str) -> Utterance:
    return await call.speak(resample_whole(await spoken(text), PIPELINE_RATE_HZ, call.rate_hz))


@pytest.fixture(scope="module")
def calls(lines: Lines) -> dict[str, Held]:
    """All calls, held together."""

    async def one(via: PhoneVia, number: int) -> Held:
        try:
            return await hold(lines, via, number)
        except Exception as error:
            return Held(error=error)

    async def together() -> list[Held]:
        lines_free = asyncio.Semaphore(AT_ONCE)

        async def in_turn(via: PhoneVia, number: int) -> Held:
            async with lines_free:
                return await one(via, number)

        return await asyncio.gather(*(in_turn(via, number) for number, via in enumerate(PHONES)))

    return dict(zip(PHONES, asyncio.run(together()), strict=True))


@pytest.mark.parametrize("via", PHONES)
def test_a_call_is_answered_in_words(calls: dict[str, Held], lines: Lines, via: PhoneVia) -> None:
    held = calls[via]
    if held.error is not None:
        raise held.error
    events = held.events
    [started] = [event for event in events if isinstance(event, SessionStarted)]
    assert started.transport == via
    kinds = [event.kind for event in events if isinstance(event, ReplyStarted)]
    assert kinds[0] == "greeting"
    turns = [event for event in events if isinstance(event, TurnCommitted)]
    assert share_understood(HOURS, turns[0].text) >= 0.6, turns[0].text
    said = next(event.text for event in events if isinstance(event, ReplyFinished) and event.turn == turns[0].turn)
    assert share_understood(said, held.understood) >= EAR_UNDERSTANDS, (said, held.understood)
    assert set(held.dropped) <= {TOO_EARLY}, "the carrier could use all that it was sent"
    assert held.most_buffered_ms <= MOST_BUFFERED_MS, "barge-in would be late"
    context = lines.context_of(held.session)
    assert context["provider"] == via
    if via != "audiosocket":
        assert context["caller"].endswith(f"555888{PHONES.index(via):04}")
        assert context["called"].endswith(CALLED.removeprefix("+"))


@pytest.mark.parametrize("via", [via for via in PHONES if via not in KEYLESS])
def test_keys_reach_the_agent(calls: dict[str, Held], via: PhoneVia) -> None:
    keyed = [event.text for event in calls[via].events if isinstance(event, TurnCommitted) and event.source == "dtmf"]
    assert [text.strip("#") for text in keyed] == ["42"]


@pytest.mark.parametrize("via", PHONES)
def test_the_agent_hangs_up(calls: dict[str, Held], via: PhoneVia) -> None:
    """After its farewell; the carrier's call is over, without a second stream."""
    held = calls[via]
    farewell = [event.text for event in held.events if isinstance(event, ReplyFinished)][-1]
    assert "goodbye" in words(farewell)
    ended = held.events[-1]
    assert isinstance(ended, SessionEnded)
    assert "goodbye" in ended.reason
    assert held.failure
    assert held.streams == 1
