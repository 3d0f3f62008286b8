"""What an agent is published with besides its configuration: its tools, and whom it may hand over to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.agents.configuration import AgentConfiguration
from control_api.handoffs.service import handoffs_of, snapshot_of_handoff
from control_api.problems import Pointer
from control_api.tools.service import snapshot_of_tool, tools_of
from sessions.agents import AgentSnapshot, HandoffSnapshot, ToolSnapshot

MOST_TOOLS: Final = 20
MOST_HANDOFFS: Final = 20


@dataclass(frozen=True, slots=True)
class Equipment:
    """As it is at one moment; a version keeps it for ever. Secrets are sealed."""

    tools: tuple[ToolSnapshot, ...] = ()
    handoffs: tuple[HandoffSnapshot, ...] = ()

    def put_into(self, snapshot: AgentSnapshot) -> AgentSnapshot:
        """The snapshot with it."""
        return msgspec.structs.replace(snapshot, tools=self.tools, handoffs=self.handoffs)

    def stored(self) -> dict[str, Any]:
        """For the version's row; :func:`read_equipment` reads it."""
        return {"tools": msgspec.to_builtins(self.tools), "handoffs": msgspec.to_builtins(self.handoffs)}


def read_equipment(version: Mapping[str, Any]) -> Equipment:
    """Of a version's row; versions from before there were tools have none.

    Raises:
        msgspec.ValidationError: it was written by a version that is too new.
    """
    return Equipment(
        msgspec.convert(version.get("tools", ()), tuple[ToolSnapshot, ...]),
        msgspec.convert(version.get("handoffs", ()), tuple[HandoffSnapshot, ...]),
    )


async def equipment_of(
    session: AsyncSession, organization_id: UUID, agent_id: UUID, configuration: AgentConfiguration
) -> Equipment:
    """What the draft has now."""
    tools = await tools_of(session, organization_id, agent_id, configuration.tools)
    handoffs = await handoffs_of(session, organization_id, agent_id)
    return Equipment(tuple(map(snapshot_of_tool, tools)), tuple(map(snapshot_of_handoff, handoffs)))


def wants(configuration: AgentConfiguration, equipment: Equipment) -> list[Pointer]:
    """Why a draft cannot be published with it; pointers into the configuration."""
    have = {tool.name for tool in equipment.tools}
    found = [
        Pointer(pointer=f"/tools/{number}", detail=f"There is no tool {name!r}.")
        for number, name in enumerate(configuration.tools)
        if name not in have
    ]
    if len(equipment.tools) > MOST_TOOLS or len(equipment.handoffs) > MOST_HANDOFFS:
        found.append(
            Pointer(pointer="/tools", detail=f"At most {MOST_TOOLS} tools and {MOST_HANDOFFS} handoffs are taken.")
        )
    if configuration.preset != "none" and (equipment.tools or equipment.handoffs):
        found.append(Pointer(pointer="/preset", detail="A preset has its own tools and handoffs, and takes no others."))
    return found
