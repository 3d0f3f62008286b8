"""One run: a published agent is asked once, as in a chat that nobody keeps."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from control_api.agent_runs.runner import RunFailed
from control_api.agent_runs.schemas import RunOutput, ToolUsed
from control_api.chat.exchange import Exchange
from control_api.chat.keeping import Begun
from control_api.chat.paying import hold_name
from control_api.conversations.story import storable
from control_api.db.models.ledger import CreditHold
from control_api.identity.caller import Caller
from control_api.parts import ControlParts
from sessions.agents import AgentSnapshot
from voicegate.kernel.events import Failure, ReplyFinished, ToolFinished


def beginning(run_id: UUID) -> Begun:
    """The turn that a run is."""
    return Begun(run_id, 1, stored=False)


async def ask(parts: ControlParts, caller: Caller, snapshot: AgentSnapshot, run_id: UUID, text: str) -> dict[str, Any]:
    """Columns of the outcome.

    Raises:
        RunFailed: the agent failed.
    """
    exchange = Exchange(parts, caller, snapshot, beginning(run_id), text, parts.clock.utc())
    said, failure, tools = "", "", list[ToolUsed]()
    async for event in exchange.events():
        match event:
            case ReplyFinished():
                said = storable(event.text)
            case ToolFinished():
                tools.append(ToolUsed(name=event.name, ok=event.ok, duration_ms=event.duration_ms))
            case Failure():
                failure = event.code
            case _:
                pass
    cost = await _cost_micro(parts, caller, run_id)
    if failure:
        raise RunFailed(failure, {"cost_micro": cost})
    return {"output": RunOutput(text=said, tools=tools).model_dump(by_alias=True), "cost_micro": cost}


async def _cost_micro(parts: ControlParts, caller: Caller, run_id: UUID) -> int:
    ours = CreditHold.organization_id == caller.organization_id
    wanted = select(CreditHold.used_micro).where(CreditHold.session_id == hold_name(beginning(run_id)), ours)
    async with parts.database.organization(caller.organization_id) as session:
        return await session.scalar(wanted) or 0
