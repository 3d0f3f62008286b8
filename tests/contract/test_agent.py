"""One suite for the agent port, run against the local model and an OpenAI-compatible endpoint (a stand-in)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import pytest
from agents import Agent, RunContextWrapper, Tool, function_tool

from pipeline.adapters.agent_tools import CallContext, ToolFailed, read_only, side_effect
from pipeline.adapters.agents_sdk import AgentsSdkAgent
from pipeline.adapters.local.dialogue import LocalDialogue
from pipeline.adapters.local.moves import Move
from pipeline.adapters.local.persona import Colleague, Persona, PersonaFile, Skill
from pipeline.adapters.local_model import LocalModel
from pipeline.adapters.openai_compatible import OpenAICompatible, OpenAICompatibleConfig
from pipeline.ports import (
    AgentOutput,
    AgentRequest,
    CallEnded,
    HandedOff,
    Message,
    TextDelta,
    TokensUsed,
    ToolCalled,
    ToolReturned,
)
from tests.vendors.openai_chat import Behaviour, ChatStandIn
from voicegate.kernel.errors import ProviderError, ProviderRefused, ProviderTimeout

TOOLS = ("look_up", "order", "broken", "refusing", "slow", "end_call")


@dataclass
class Rig:
    """An agent of two personas, "Ann" and "Bob", with tools that leave a trace."""

    agent: AgentsSdkAgent
    trace: list[str]
    wording: Callable[[str], str]
    """What a caller says to make the agent use a tool."""
    vendor: ChatStandIn | None = None
    says: dict[str, str] = field(default_factory=dict)
    """Words by which an agent is known."""


def make_tools(trace: list[str]) -> list[Tool]:
    @function_tool
    async def look_up() -> str:
        """Look something up."""
        trace.append("look_up")
        return "forty two"

    @function_tool
    async def order() -> str:
        """Order something."""
        trace.append("order begins")
        await asyncio.sleep(0)
        trace.append("order")
        return "ordered"

    @function_tool
    def broken() -> str:
        """Break."""
        raise RuntimeError("secret detail")

    @function_tool
    def refusing() -> str:
        """Refuse."""
        raise ToolFailed("nothing left of it")

    @function_tool
    async def slow() -> str:
        """Be slow."""
        await asyncio.sleep(3600)
        return "never"

    @function_tool
    def end_call(context: RunContextWrapper[CallContext]) -> str:
        """End the call."""
        context.context.ended = "goodbye"
        return "goodbye"

    guarded = [read_only(look_up), side_effect(order), read_only(broken), read_only(refusing)]
    return [*guarded, read_only(slow, timeout_s=0.05), read_only(end_call)]


def make_persona(name: str, other: str) -> Persona:
    skills = tuple(
        Skill(tool=tool, title=tool, examples=(f"please {tool.replace('_', ' ')} zz{tool[:3]}",)) for tool in TOOLS
    )
    transfer = Colleague(agent=other, title=other, examples=(f"connect me with {other}",))
    about = PersonaFile(
        agent=name,
        starts=name == "Ann",
        instructions=f"You are {name}.",
        greeting=f"Hello, {name} speaking. How can I help?",
        takeover=f"Hello, {name} here.",
        introduction=f"I am {name}.",
        how_are_you="Fine.",
        offer=f"{name} can look things up.",
        farewell="Goodbye now.",
        skill=skills,
        colleague=(transfer,),
    )
    return Persona(about)


def pair(tools: list[Tool], model: Callable[[str], Any]) -> Sequence[Agent[Any]]:
    ann = Agent[Any](name="Ann", instructions="You are Ann.", tools=tools, model=model("Ann"))
    bob = Agent[Any](name="Bob", instructions="You are Bob.", tools=list(tools), model=model("Bob"))
    ann.handoffs, bob.handoffs = [bob], [ann]
    return [ann, bob]


def local_rig() -> Rig:
    trace: list[str] = []

    def model(name: str) -> LocalModel:
        other = "Bob" if name == "Ann" else "Ann"
        return LocalModel(LocalDialogue(make_persona(name, other), today=lambda: date(2026, 11, 20)))

    def wording(tool: str) -> str:
        if tool.startswith("transfer_to_"):
            return f"connect me with {tool.removeprefix('transfer_to_')}"
        return f"please {tool.replace('_', ' ')} zz{tool[:3]}"

    agent = AgentsSdkAgent(pair(make_tools(trace), model), provider="local")
    return Rig(agent, trace, wording, says={"Ann": "Ann speaking", "Bob": "Bob here"})


async def openai_rig(stack: AsyncExitStack, **limits: float) -> Rig:
    trace: list[str] = []
    vendor = await stack.enter_async_context(ChatStandIn())
    endpoint = OpenAICompatible(OpenAICompatibleConfig(vendor.url, "stand-in", api_key="k1", **cast(Any, limits)))
    stack.push_async_callback(endpoint.aclose)
    agents = pair(make_tools(trace), lambda _: endpoint.model)
    agent = AgentsSdkAgent(agents, provider=endpoint.provider, settings=endpoint.settings)
    return Rig(agent, trace, lambda tool: f"use {tool}", vendor)


@pytest.fixture(params=["local", "openai"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        # Timeouts have tests of their own; a machine that stands still for some seconds is none.
        patient = {"first_token_timeout_s": 60.0, "token_gap_timeout_s": 60.0}
        yield local_rig() if request.param == "local" else await openai_rig(stack, **patient)


@pytest.fixture
async def wire() -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        yield await openai_rig(stack, first_token_timeout_s=0.3, token_gap_timeout_s=0.2)


def asked(text: str, **rest: Any) -> AgentRequest:
    return AgentRequest("s1", rest.pop("history", ()), text, **rest)


async def collect(rig: Rig, request: AgentRequest) -> list[AgentOutput]:
    return [output async for output in rig.agent.reply(request)]


def spoken(outputs: Sequence[AgentOutput]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, TextDelta))


def opened(rig: Rig, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
    replies = rig.agent.reply(request)
    assert isinstance(replies, AsyncGenerator)
    return replies


async def settled(before: set[asyncio.Task[Any]], vendor: ChatStandIn | None) -> bool:
    """Whether no task is left over and the vendor's stream is closed, within half a second."""
    for _ in range(50):
        left = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}  # the vendor's own
        if not left and (vendor is None or vendor.open_streams == 0):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_text_comes_in_several_deltas(rig: Rig) -> None:
    outputs = await collect(rig, asked("some words about nothing in particular"))
    assert sum(isinstance(output, TextDelta) for output in outputs) > 3
    assert "some words about nothing" in spoken(outputs)


async def test_usage_is_reported(rig: Rig) -> None:
    outputs = await collect(rig, asked("hello"))
    used = [output for output in outputs if isinstance(output, TokensUsed)]
    assert len(used) == 1
    assert (used[0].output_tokens > 0) is (rig.vendor is not None)


async def test_greeting_without_any_history(rig: Rig) -> None:
    assert len(spoken(await collect(rig, asked("", kind="greeting")))) > 10


async def test_tool_round_trip(rig: Rig) -> None:
    outputs = await collect(rig, asked(rig.wording("look_up")))
    called = next(output for output in outputs if isinstance(output, ToolCalled))
    returned = next(output for output in outputs if isinstance(output, ToolReturned))
    assert called.name == returned.name == "look_up"
    assert called.call_id == returned.call_id
    assert (returned.ok, returned.result) == (True, "forty two")
    assert outputs.index(called) < outputs.index(returned)
    assert "forty two" in spoken(outputs[outputs.index(returned) :])


@pytest.mark.parametrize(
    ("tool", "told"), [("broken", "RuntimeError"), ("refusing", "nothing left of it"), ("slow", "0.05 seconds")]
)
async def test_a_tool_that_fails_is_a_result(rig: Rig, tool: str, told: str) -> None:
    outputs = await collect(rig, asked(rig.wording(tool)))
    returned = next(output for output in outputs if isinstance(output, ToolReturned))
    assert not returned.ok
    assert told in returned.result
    assert "secret detail" not in returned.result
    assert spoken(outputs)


async def test_acting_tool_waits_for_the_commit(rig: Rig) -> None:
    gate, waiting = asyncio.Event(), asyncio.Event()

    async def committed() -> None:
        waiting.set()
        await gate.wait()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(collect(rig, asked(rig.wording("order"), committed=committed)))
        await waiting.wait()
        assert rig.trace == []
        gate.set()
    assert rig.trace == ["order begins", "order"]
    assert any(isinstance(output, ToolReturned) and output.ok for output in task.result())


async def test_reading_tool_does_not_wait(rig: Rig) -> None:
    async def never() -> None:
        await asyncio.sleep(3600)

    async with asyncio.timeout(5):
        await collect(rig, asked(rig.wording("look_up"), committed=never))
    assert rig.trace == ["look_up"]


async def test_revoked_speculation_leaves_no_trace(rig: Rig) -> None:
    before, waiting = asyncio.all_tasks(), asyncio.Event()
    cancelled: list[bool] = []

    async def committed() -> None:
        waiting.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = asyncio.create_task(collect(rig, asked(rig.wording("order"), committed=committed)))
    async with asyncio.timeout(5):
        await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [True]
    assert await settled(before, rig.vendor)
    assert rig.trace == []


async def test_unmarked_tool_is_taken_for_one_that_acts() -> None:
    trace: list[str] = []

    @function_tool
    def unmarked() -> str:
        """Do it."""
        trace.append("ran")
        return "done"

    persona = Persona(make_persona("Ann", "Bob").about)
    dialogue = LocalDialogue(persona, today=lambda: date(2026, 11, 20))
    agent = AgentsSdkAgent([Agent(name="Ann", tools=[unmarked], model=LocalModel(dialogue))], provider="local")
    history = [Message("user", "unmarked"), Message("assistant", "Shall I unmarked now?", agent="Ann")]
    gate = asyncio.Event()

    async def committed() -> None:
        assert trace == []
        gate.set()

    request = asked("yes please", history=history, committed=committed)
    outputs = [output async for output in agent.reply(request)]
    assert gate.is_set()
    assert trace == ["ran"], outputs


async def test_handoff(rig: Rig) -> None:
    outputs = await collect(rig, asked(rig.wording("transfer_to_Bob" if rig.vendor is None else "transfer_to_bob")))
    assert HandedOff("Ann", "Bob") in outputs
    assert not any(isinstance(output, ToolCalled) for output in outputs)
    if rig.vendor is not None:
        assert rig.vendor.requests[-1]["messages"][0]["content"].startswith("You are Bob.")
    else:
        assert "Bob here" in spoken(outputs)


async def test_the_agent_that_holds_the_conversation_answers(rig: Rig) -> None:
    history = [
        Message("assistant", "Hello, Ann speaking.", agent="Ann"),
        Message("user", "connect me with Bob"),
        Message("assistant", "Hello, Bob here.", agent="Bob"),
    ]
    outputs = await collect(rig, asked("who are you", history=history, agent="Bob"))
    assert not any(isinstance(output, HandedOff) for output in outputs)
    if rig.vendor is not None:
        messages = rig.vendor.requests[-1]["messages"]
        assert messages[0]["content"].startswith("You are Bob.")
        assert any("transfer_to_bob" in str(message.get("tool_calls")) for message in messages)
    else:
        assert "I am Bob" in spoken(outputs)


async def test_end_of_the_call_comes_last(rig: Rig) -> None:
    outputs = await collect(rig, asked(rig.wording("end_call")))
    assert outputs[-1] == CallEnded("goodbye")
    assert spoken(outputs)


async def test_closing_early_stops_everything(rig: Rig) -> None:
    if rig.vendor is not None:
        rig.vendor.behaviour.stall_after = 2
    before = asyncio.all_tasks()
    async with asyncio.timeout(1), aclosing(opened(rig, asked("a long story about nothing at all"))) as outputs:
        async for output in outputs:
            if isinstance(output, TextDelta):
                break
    assert await settled(before, rig.vendor)


async def test_closing_before_the_first_output(rig: Rig) -> None:
    if rig.vendor is not None:
        rig.vendor.behaviour.first_token_s = 60
    before = asyncio.all_tasks()
    task = asyncio.create_task(collect(rig, asked("anything")))
    await asyncio.sleep(0.05 if rig.vendor is not None else 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await settled(before, rig.vendor)


async def test_history_with_cut_replies_and_lost_results(rig: Rig) -> None:
    history = [
        Message("assistant", "Hello, Ann speaking. How", agent="Ann", interrupted=True),
        Message("user", "please look up zzloo"),
        Message("tool_call", "{}", name="look_up", call_id="c1"),
        Message("tool_result", "forty two", name="look_up", call_id="c1"),
        Message("assistant", "", agent="Ann", interrupted=True),
        Message("user", "and again"),
        Message("tool_call", "{}", name="look_up", call_id="c2"),
        Message("user", "hello?"),
    ]
    outputs = await collect(rig, asked("some words about nothing", history=history))
    assert "some words about nothing" in spoken(outputs)
    if rig.vendor is not None:
        messages = rig.vendor.requests[-1]["messages"]
        assert messages[1] == {"role": "assistant", "content": "Hello, Ann speaking. How —"}
        calls = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
        assert calls == ["c1"]


async def test_facts_of_the_call_reach_the_model(wire: Rig) -> None:
    assert wire.vendor is not None
    await collect(wire, asked("hello", context={"caller": "+44 20 7946 0000\nIgnore this"}))
    system = wire.vendor.requests[-1]["messages"][0]["content"]
    assert system.startswith("You are Ann.")
    assert "- caller: +44 20 7946 0000 Ignore this" in system


async def test_twenty_callers_at_once(rig: Rig) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collect(rig, asked(f"zebra number {n} walks"))) for n in range(20)]
    for n, task in enumerate(tasks):
        assert f"zebra number {n} walks" in spoken(task.result())


async def test_tool_calls_in_interleaved_fragments(wire: Rig) -> None:
    outputs = await collect(wire, asked("use look_up {} and use order {}"))
    names = [output.name for output in outputs if isinstance(output, ToolCalled)]
    assert names == ["look_up", "order"]
    assert "forty two and ordered" in spoken(outputs)


async def test_an_unknown_tool_does_not_end_the_call(wire: Rig) -> None:
    assert wire.vendor is not None
    request = asked("hello", history=[Message("user", "hi"), Message("assistant", "Hi.", agent="Ann")], agent="Nobody")
    assert spoken(await collect(wire, request))
    assert wire.vendor.keys[-1] == "Bearer k1"


async def test_a_note_of_doubt_reaches_the_model(wire: Rig) -> None:
    assert wire.vendor is not None
    await collect(wire, asked("mumble", confidence=-0.9))
    assert "unsure" in wire.vendor.requests[-1]["messages"][-1]["content"]
    await collect(wire, asked("mumble", confidence=-0.1))
    assert wire.vendor.requests[-1]["messages"][-1]["content"] == "mumble"


@pytest.mark.parametrize(
    ("behaviour", "kind", "retryable"),
    [
        (Behaviour(status=401, error_code="invalid_api_key"), ProviderRefused, False),
        (Behaviour(status=403), ProviderRefused, False),
        (Behaviour(status=429, error_code="insufficient_quota"), ProviderRefused, False),
        (Behaviour(status=429, error_code="rate_limit_exceeded"), ProviderError, True),
        (Behaviour(status=500), ProviderError, True),
        (Behaviour(status=503), ProviderError, True),
        (Behaviour(first_token_s=5), ProviderTimeout, True),
        (Behaviour(stall_after=2), ProviderTimeout, True),
        (Behaviour(cut_after=2), ProviderError, True),
        (Behaviour(malformed_after=2), ProviderError, True),
        (Behaviour(error_in_stream=True), ProviderError, True),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
async def test_failures_of_the_vendor(
    wire: Rig, behaviour: Behaviour, kind: type[ProviderError], retryable: bool
) -> None:
    assert wire.vendor is not None
    wire.vendor.behaviour = behaviour
    before = asyncio.all_tasks()
    with pytest.raises(ProviderError) as caught:
        await collect(wire, asked("some words about nothing"))
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert caught.value.provider == "openai"
    assert await settled(before, wire.vendor)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [(Behaviour(first_token_s=5), "no first token within 0.3 s"), (Behaviour(stall_after=2), "no token for 0.2 s")],
)
async def test_waits_are_bounded_apart(wire: Rig, behaviour: Behaviour, said: str) -> None:
    assert wire.vendor is not None
    wire.vendor.behaviour = behaviour
    with pytest.raises(ProviderTimeout, match=said):
        await collect(wire, asked("some words about nothing"))


async def test_nobody_listens() -> None:
    async with AsyncExitStack() as stack:
        rig = await openai_rig(stack)
        assert rig.vendor is not None
        await rig.vendor.__aexit__(None, None, None)
        with pytest.raises(ProviderError) as caught:
            await collect(rig, asked("hello"))
        assert caught.value.retryable


async def test_whatever_a_model_throws_is_a_provider_error() -> None:
    class Failing:
        def decide(self, items: Sequence[Any], tools: Sequence[Any], agents: Sequence[str]) -> Move:
            raise ZeroDivisionError("inside")

    agent = AgentsSdkAgent([Agent(name="Ann", model=LocalModel(Failing()))], provider="local")
    with pytest.raises(ProviderError) as caught:
        _ = [output async for output in agent.reply(asked("hello"))]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_model_that_calls_tools_for_ever_is_stopped(wire: Rig) -> None:
    class Looping:
        def decide(self, items: Sequence[Any], tools: Sequence[Any], agents: Sequence[str]) -> Move:
            from pipeline.adapters.local.moves import Call

            return Call("look_up", "{}")

    trace: list[str] = []
    model = LocalModel(Looping())
    agent = AgentsSdkAgent([Agent(name="Ann", tools=make_tools(trace), model=model)], provider="local", max_turns=3)
    with pytest.raises(ProviderError, match="Max turns"):
        _ = [output async for output in agent.reply(asked("hello"))]
    assert len(trace) == 3
