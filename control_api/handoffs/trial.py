"""A handoff tried with words: one turn in writing, with everything that the agent has."""

import asyncio
from contextlib import aclosing
from typing import Final

import msgspec
import structlog

from control_api.handoffs.schemas import HandoffTestShown
from control_api.parts import ControlParts
from control_api.problems import Problem
from pipeline.adapters.number_handoff import number_tool
from pipeline.ports import HandedOff, TextDelta, ToolCalled
from sessions.agents import AgentSnapshot, HandoffSnapshot
from voicegate.kernel.errors import ProviderError
from voicegate.kernel.ids import new_session_id

_LONGEST_S: Final = 30.0
_log = structlog.get_logger(__name__)


async def try_handoff(
    parts: ControlParts, snapshot: AgentSnapshot, tried: HandoffSnapshot, target: str, text: str
) -> HandoffTestShown:
    """Whether the agent hands over. ``target``: name of the agent that ``tried`` leads to, or its number.

    Raises:
        Problem: ``agent_failed``.
    """
    # The first in line keeps its name where two agents have the same.
    others = tuple(each for each in snapshot.handoffs if each != tried)
    asked = msgspec.structs.replace(snapshot, handoffs=(tried, *others))
    expected = {number_tool(target)} if tried.to_number else {target, f"{target} 2"}
    steps: list[tuple[str, str]] = []
    reply = ""
    try:
        async with (
            asyncio.timeout(_LONGEST_S),
            aclosing(parts.text_agents.reply(asked, (), text, session_id=new_session_id())) as outputs,
        ):
            async for output in outputs:
                match output:
                    case TextDelta(said):
                        reply += said
                    case HandedOff(giver, taker):
                        steps.append((giver, taker))
                    case ToolCalled(name=tool) if tool in expected:
                        steps.append((snapshot.name, tool))
    except (ProviderError, TimeoutError) as error:
        _log.warning("an agent failed at a test", agent=snapshot.id, error=type(error).__name__)
        raise Problem("agent_failed", "The agent gave no answer.") from error
    taken = any(giver == snapshot.name and taker in expected for giver, taker in steps)
    handed_to = (target if taken and tried.to_number else steps[-1][1]) if steps else None
    return HandoffTestShown(would_hand_over=taken, handed_to=handed_to, reply=reply.strip())
