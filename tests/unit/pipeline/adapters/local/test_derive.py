"""Tools nobody described to the local model, and results nobody wrote for it."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

import pytest
from agents import Agent, Tool, function_tool

from pipeline.adapters.agent_tools import read_only, side_effect
from pipeline.adapters.agents_sdk import AgentsSdkAgent
from pipeline.adapters.local.dialogue import LocalDialogue
from pipeline.adapters.local.persona import PersonaFile, plain_persona
from pipeline.adapters.local_model import LocalModel
from pipeline.ports import AgentOutput, AgentRequest, Message, TextDelta, ToolCalled, ToolReturned


@function_tool(strict_mode=False)
def order_status(order_number: int) -> dict[str, Any]:
    """Status of an order."""
    return {"state": "on its way", "days": 2}


@function_tool
def send_brochure(city: str) -> str:
    """Send a brochure."""
    return "It is in the post."


async def talk(tools: Sequence[Tool], *said: str) -> AsyncIterator[tuple[str, list[str]]]:
    persona = plain_persona("Max", greeting="Hello, Max here.", passages={"delivery times": "Two to three days."})
    model = LocalModel(LocalDialogue(persona, today=lambda: date(2026, 11, 20)))
    agent = AgentsSdkAgent([Agent(name="Max", tools=list(tools), model=model)], provider="local")
    history: list[Message] = []
    for text in said:
        outputs: list[AgentOutput] = [output async for output in agent.reply(AgentRequest("s", tuple(history), text))]
        reply = "".join(output.text for output in outputs if isinstance(output, TextDelta))
        history.append(Message("user", text))
        for output in outputs:
            if isinstance(output, ToolCalled):
                history.append(Message("tool_call", output.arguments, output.name, output.call_id))
            elif isinstance(output, ToolReturned):
                history.append(Message("tool_result", output.result, output.name, output.call_id))
        history.append(Message("assistant", reply, agent="Max"))
        yield reply, [f"{output.name}{output.arguments}" for output in outputs if isinstance(output, ToolCalled)]


async def test_arguments_are_asked_for_by_the_schema() -> None:
    turns = [turn async for turn in talk([read_only(order_status)], "what is the status of my order", "4711")]
    assert turns[0] == ("What is the order number?", [])
    assert turns[1][1] == ['order_status{"order_number": 4711}']
    assert "The state is on its way." in turns[1][0]


async def test_a_tool_that_acts_is_confirmed_first() -> None:
    turns = [turn async for turn in talk([side_effect(send_brochure)], "send me a brochure", "york", "yes")]
    assert "What is the city?" in turns[0][0]
    assert turns[1] == ("Great. Shall I send brochure now?", []) or "Shall I send brochure now?" in turns[1][0]
    assert turns[2][1] == ['send_brochure{"city": "york"}']
    assert "in the post" in turns[2][0]


async def test_passages_without_questions_are_found_by_their_topic() -> None:
    turns = [turn async for turn in talk([], "what are your delivery times", "do you sell elephants")]
    assert turns[0][0].startswith("Two to three days.")
    assert "beyond me" in turns[1][0]


def test_a_persona_file_names_what_is_wrong() -> None:
    import msgspec

    from pipeline.adapters.local.persona import load_persona

    with pytest.raises(msgspec.ValidationError, match="greeting"):
        load_persona('agent = "A"\ninstructions = ""')
    assert PersonaFile.__struct_fields__[0] == "agent"
