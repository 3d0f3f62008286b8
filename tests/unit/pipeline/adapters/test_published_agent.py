"""An agent of its published configuration."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from agents import FunctionTool, ModelSettings
from aiohttp import web

from pipeline.adapters.http_tool import HttpTool
from pipeline.adapters.local.moves import Call, Move, Transfer
from pipeline.adapters.local_model import LocalModel
from pipeline.adapters.number_handoff import NumberGiven
from pipeline.adapters.outward_http import outward_http
from pipeline.adapters.published_agent import (
    PublishedAgent,
    Remote,
    Successor,
    Surroundings,
    build_published,
    instructions,
)
from pipeline.ports import AgentOutput, AgentRequest, CallEnded, HandedOff, TextDelta, ToolCalled, ToolReturned
from voicegate.kernel.errors import VoicegateError


class HalfPastThree:
    """A clock that stands."""

    def monotonic(self) -> float:
        return 0.0

    def utc(self) -> datetime:
        return datetime(2026, 1, 2, 15, 30, tzinfo=UTC)


async def answer(published: PublishedAgent, text: str) -> tuple[str, bool]:
    request = AgentRequest("s", (), text, kind="answer" if text else "greeting")
    parts = [part async for part in build_published([published], Surroundings(HalfPastThree())).reply(request)]
    said = "".join(part.text for part in parts if isinstance(part, TextDelta))
    return said, any(isinstance(part, CallEnded) for part in parts)


async def test_by_rules_it_greets_and_knows_what_it_was_told() -> None:
    teller = PublishedAgent("Teller", greeting="Good day!", knowledge={"opening hours": "We open at nine."})
    assert await answer(teller, "") == ("Good day!", False)
    assert await answer(teller, "What are your opening hours?") == ("We open at nine.", False)


async def test_without_a_greeting_it_says_its_name() -> None:
    said, _ = await answer(PublishedAgent("Teller", instructions="x"), "")
    assert "Teller" in said


async def test_it_knows_the_time_and_how_to_end_a_call() -> None:
    assert "half past three" in (await answer(PublishedAgent("Teller"), "What time is it?"))[0]
    assert (await answer(PublishedAgent("Teller"), "Goodbye!"))[1]


def test_a_language_model_is_told_everything() -> None:
    text = instructions(PublishedAgent("Teller", " Be kind. ", "Good day!", {"opening hours": "We open at nine."}))
    assert text.startswith("You are Teller")
    for part in ("\n\nBe kind.\n\n", "say exactly: Good day!", "opening hours: We open at nine."):
        assert part in text
    assert instructions(PublishedAgent("Teller")).count("\n\n") == 0, "nothing is left over of what is empty"


ORDER = HttpTool(
    name="order_status",
    description="Looks up the status of an order.",
    parameters={"type": "object", "properties": {}, "required": []},
    method="GET",
    url="",
    filler="Let me look.",
)


@asynccontextmanager
async def server(asked: list[str], answer: Mapping[str, Any] | None = None) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(answer or {"spoken": "It is on its way."})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/status"
    finally:
        await runner.cleanup()


async def outputs(team: Sequence[PublishedAgent], around: Surroundings, request: AgentRequest) -> list[AgentOutput]:
    return [output async for output in build_published(team, around).reply(request)]


async def test_a_tool_that_only_reads_runs_before_the_turn_is_settled_after_its_filler() -> None:
    request = AgentRequest("s", (), "What is the status of my order?", committed=_never)
    asked: list[str] = []
    async with server(asked) as url, outward_http(private_hosts=True) as http:
        teller = PublishedAgent("Teller", tools=[replace(ORDER, url=url, acts=False)])
        got = await outputs([teller], Surroundings(HalfPastThree(), http), request)
    kinds = [type(output) for output in got if isinstance(output, TextDelta | ToolCalled | ToolReturned)]
    assert kinds[:3] == [TextDelta, ToolCalled, ToolReturned]
    assert "".join(output.text for output in got if isinstance(output, TextDelta)) == "Let me look. It is on its way."
    assert asked == ["/status"]


async def test_by_rules_an_answer_may_use_our_words_for_something_else() -> None:
    other = {"about": "this", "options": 3, "ask_again": "x", "implied": [], "price": 7}
    request = AgentRequest("s", (), "What is the status of my order?")
    async with server([], other) as url, outward_http(private_hosts=True) as http:
        teller = PublishedAgent("Teller", tools=[replace(ORDER, url=url, acts=False, filler="")])
        got = await outputs([teller], Surroundings(HalfPastThree(), http), request)
    assert "".join(output.text for output in got if isinstance(output, TextDelta)) == "The price is 7."


async def test_a_tool_that_acts_waits_until_the_turn_is_settled() -> None:
    settled, waits = asyncio.Event(), asyncio.Event()

    async def committed() -> None:
        waits.set()
        await settled.wait()

    class Acts:
        def decide(self, items: Sequence[Any], tools: Sequence[FunctionTool], agents: Sequence[str]) -> Move:
            return Call("order_status", "{}")

    asked: list[str] = []
    async with server(asked) as url, outward_http(private_hosts=True) as http:
        model = Remote(LocalModel(Acts()), ModelSettings(), "test")
        teller = PublishedAgent("Teller", tools=[replace(ORDER, url=url)], model=model)
        agent = build_published([teller], Surroundings(HalfPastThree(), http))
        reply = agent.reply(AgentRequest("s", (), "Do it", committed=committed))
        async for output in reply:
            if isinstance(output, ToolCalled):
                async with asyncio.timeout(10):
                    await waits.wait()
                assert asked == []
                settled.set()
            if isinstance(output, ToolReturned):
                break
        await reply.aclose()
    assert asked == ["/status"]


async def test_a_tool_whose_secret_cannot_be_opened_says_so_and_sends_nothing() -> None:
    asked: list[str] = []
    async with server(asked) as url, outward_http(private_hosts=True) as http:
        teller = PublishedAgent("Teller", tools=[replace(ORDER, url=url, acts=False, broken="Give it again.")])
        got = await outputs([teller], Surroundings(HalfPastThree(), http), AgentRequest("s", (), "order status"))
    failed = next(output for output in got if isinstance(output, ToolReturned))
    assert (failed.ok, "Give it again." in failed.result, asked) == (False, True, [])


async def test_agents_that_each_send_the_caller_on_stop_after_three() -> None:
    class Away:
        def decide(self, items: Sequence[Any], tools: Sequence[FunctionTool], agents: Sequence[str]) -> Move:
            return Transfer(agents[0]) if agents else Call("end_call", '{"reason": "nobody is left"}')

    model = Remote(LocalModel(Away()), ModelSettings(), "test")
    ann = PublishedAgent("Ann", successors=[Successor("Bob", "always")], model=model)
    bob = PublishedAgent("Bob", successors=[Successor("Ann", "always")], model=model)
    agent = build_published([ann, bob], Surroundings(HalfPastThree()))
    seen: list[HandedOff] = []
    async for output in (reply := agent.reply(AgentRequest("s", (), "Hello"))):
        if isinstance(output, HandedOff):
            seen.append(output)
        if isinstance(output, ToolCalled):
            break
    await reply.aclose()
    assert seen == [HandedOff("Ann", "Bob"), HandedOff("Bob", "Ann"), HandedOff("Ann", "Bob")]


@dataclass
class Phone:
    """A phone call that can be connected with numbers, or cannot."""

    on_a_phone: bool = True
    refuses: bool = False
    connected: list[str] = field(default_factory=list)

    async def transfer(self, number: str) -> None:
        if self.refuses:
            raise VoicegateError("the carrier is busy")
        self.connected.append(number)

    async def press_keys(self, digits: str) -> None:
        raise AssertionError


async def test_a_caller_is_connected_with_a_number() -> None:
    teller = PublishedAgent("Teller", numbers=[NumberGiven("+15550100", "make a complaint")])

    async def asked(phone: Phone | None) -> tuple[bool, str]:
        request = AgentRequest("s", (), "I want to make a complaint", control=phone)
        got = await outputs([teller], Surroundings(HalfPastThree()), request)
        returned = next(output for output in got if isinstance(output, ToolReturned))
        return returned.ok, "".join(output.text for output in got if isinstance(output, TextDelta))

    phone = Phone()
    assert await asked(phone) == (True, "I'm connecting you now.")
    assert phone.connected == ["+15550100"]
    for other in (None, Phone(on_a_phone=False), Phone(refuses=True)):
        ok, said = await asked(other)
        assert not ok
        assert "didn't work" in said


async def _never() -> None:
    raise AssertionError("a tool that only reads does not wait")
