"""Tools that an agent has on the telephone only: keys into the call.

The call's end is a tool of every call; numbers that an agent may hand its call to are tools of its own
(:mod:`pipeline.adapters.number_handoff`).
"""

import json
import re
from typing import Any, Final

from agents import RunContextWrapper, Tool, function_tool

from pipeline.adapters.agent_tools import CallContext, ToolFailed, side_effect
from voicegate.kernel.errors import VoicegateError

_KEYS: Final = re.compile(r"[0-9*#A-D]{1,64}")


def phone_tools() -> list[Tool]:
    """The model sees them while it is on a telephone."""

    @function_tool(is_enabled=_on_a_phone)
    async def press_keys(context: RunContextWrapper[CallContext], digits: str) -> str:
        """Press telephone keys into the call, for a menu or an extension. digits: 1 to 64 of 0-9 * #."""
        control = context.context.control
        if control is None:
            raise ToolFailed("There is no telephone.")
        if not _KEYS.fullmatch(digits):
            raise ToolFailed("digits must be 1 to 64 of 0-9 * #.")
        try:
            await control.press_keys(digits)
        except VoicegateError as error:
            raise ToolFailed(f"The keys were not pressed: {error}.") from error
        return json.dumps({"pressed": digits})

    return [side_effect(press_keys)]


def _on_a_phone(context: RunContextWrapper[Any], _: object) -> bool:
    call = context.context
    return isinstance(call, CallContext) and call.control is not None and call.control.on_a_phone
