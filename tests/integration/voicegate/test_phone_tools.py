"""What an agent with a language model does with the telephone call it is in: keys, a transfer, and honest failures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from gateway.phone.capability import Capabilities, NotesHere
from gateway.phone.line_orders import PhoneOrders
from gateway.phone.lines import PhoneLines
from gateway.phone.messages import PhoneCall
from pipeline.adapters.number_handoff import NumberGiven, number_tool
from pipeline.adapters.openai_compatible import OpenAICompatible, OpenAICompatibleConfig
from pipeline.adapters.published_agent import PublishedAgent, Remote, Surroundings, build_published
from pipeline.session_config import SessionConfig
from tests.integration.voicegate.conftest import Begin, Process
from tests.integration.voicegate.test_orders import Api, Line, hears, of
from tests.vendors.openai_chat import ChatStandIn
from voicegate.call import Call
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import ReplyFinished, SessionEnded, ToolFinished
from voicegate.orders import Telephone

NUMBER = "+15551234567"


@dataclass
class Ringing:
    """A call whose agent has a language model, and the line that it is on once :meth:`on` a carrier."""

    process: Process
    call: Call
    model: ChatStandIn
    lines: PhoneLines
    api: Api = field(default_factory=Api)

    def on(self, provider: str) -> Line:
        line = Line(PhoneCall(provider, "C1"), self.call)
        self.lines.add(self.call.session_id, line)
        return line

    async def told(self, text: str) -> ToolFinished:
        """What became of the tool that the model was made to use."""
        before = len(of(self.process, ToolFinished))
        self.call.type_text(text)
        await hears(self.call, lambda: len(of(self.process, ToolFinished)) > before)
        found: ToolFinished = of(self.process, ToolFinished)[-1]
        return found


@pytest.fixture
async def ringing(begin: Begin) -> AsyncIterator[Ringing]:
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(ChatStandIn())
        client = OpenAICompatible(OpenAICompatibleConfig(model.url, "m", "key"))
        stack.push_async_callback(client.aclose)
        remote = Remote(client.model, client.settings, client.provider)
        agent = PublishedAgent("Teller", "Be kind.", numbers=(NumberGiven(NUMBER, "they are angry"),), model=remote)
        process, lines, api = await begin(), PhoneLines(), Api()
        phones = PhoneOrders(lines, Capabilities(NotesHere(SystemClock()), hold_s=60), {"telnyx": api})
        process.registry.control_of = lambda session_id: Telephone(phones, session_id)
        call = await process.attach()
        call.session.hand_off(build_published([agent], Surroundings(SystemClock())), SessionConfig(), "id")
        yield Ringing(process, call, model, lines, api)


def offered(model: ChatStandIn) -> set[str]:
    return {tool["function"]["name"] for tool in model.requests[-1]["tools"]}


async def test_the_model_presses_keys(ringing: Ringing) -> None:
    line = ringing.on("plivo")
    done = await ringing.told('use press_keys {"digits": "12#"}')
    assert (done.name, done.ok, done.result) == ("press_keys", True, '{"pressed": "12#"}')
    assert line.keys == ["12#"]
    await hears(ringing.call, lambda: of(ringing.process, ReplyFinished))


async def test_it_is_told_what_the_carrier_cannot_do_and_says_so(ringing: Ringing) -> None:
    ringing.on("telnyx")
    done = await ringing.told('use press_keys {"digits": "12#"}')
    assert (done.ok, "telnyx takes no keys" in done.result) == (False, True)
    await hears(ringing.call, lambda: of(ringing.process, ReplyFinished))
    done = await ringing.told('use press_keys {"digits": "dial"}')
    assert (done.ok, "must be" in done.result) == (False, True)


async def test_the_model_hands_the_call_to_a_number_of_its_agent(ringing: Ringing) -> None:
    ringing.on("telnyx")
    ringing.api.refuses = True
    done = await ringing.told(f"use {number_tool(NUMBER)} {{}}")
    assert (done.ok, ringing.api.asked) == (False, [])
    assert not of(ringing.process, SessionEnded), "the call goes on as it was"
    await hears(ringing.call, lambda: of(ringing.process, ReplyFinished))
    ringing.api.refuses = False
    ringing.call.type_text(f"use {number_tool(NUMBER)} {{}}")
    async with asyncio.timeout(10):
        assert await ringing.call.ended() == "transferred"
    assert ringing.api.asked == [("C1", NUMBER)]


async def test_without_a_telephone_there_are_no_keys(ringing: Ringing) -> None:
    ringing.call.type_text("hello")
    await hears(ringing.call, lambda: of(ringing.process, ReplyFinished))
    assert "press_keys" not in offered(ringing.model)
    assert "end_call" in offered(ringing.model)
    ringing.on("plivo")
    ringing.call.type_text("hello again")
    await hears(ringing.call, lambda: len(of(ringing.process, ReplyFinished)) == 2)
    assert "press_keys" in offered(ringing.model)
