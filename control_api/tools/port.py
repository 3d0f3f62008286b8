"""Making a tool's request: a port, because the one client that may reach customers' servers is given from above."""

from collections.abc import Mapping
from typing import Any, Protocol

from pipeline.adapters.http_tool import ToolOutcome
from sessions.agents import ToolSnapshot


class ToolCalls(Protocol):
    """Calls tools as a call would."""

    async def call_tool(self, organization_id: str, tool: ToolSnapshot, arguments: Mapping[str, Any]) -> ToolOutcome:
        """Run the tool once. Never raises for what arguments or the far side do; secrets are masked in the outcome."""
        ...
