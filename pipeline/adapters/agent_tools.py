"""Tools of an agent in a call: none may raise, none may take for ever, and none may act before its turn is committed.

A reply may start before the caller's turn is settled. A tool that only reads may run at once; a tool that changes the
world must wait until the turn is committed. Which is which is said with :func:`read_only` and :func:`side_effect`; a
tool that says nothing is taken for one that acts, because that mistake costs milliseconds and the other costs a
booking nobody made.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents import FunctionTool, ModelBehaviorError
from agents.tool import set_function_tool_failure_error_function
from agents.tool_context import ToolContext

from pipeline.ports import CallControl

TOOL_TIMEOUT_S = 8.0
"""Longest run of a tool unless it says otherwise. A caller hears fillers meanwhile (our choice)."""


class ToolFailed(Exception):
    """Raised by a tool whose message may be told to the model: wrong argument, nothing found, taken."""


@dataclass(slots=True)
class CallContext:
    """What tools of one reply may know and do; the SDK carries it as the run's context."""

    session_id: str
    facts: Mapping[str, str] = field(default_factory=dict)
    committed: Callable[[], Awaitable[None]] | None = None
    notes: Sequence[str] = ()
    """From an operator, for the model."""
    ended: str | None = None
    """Set by a tool that ends the call: the reason."""
    control: CallControl | None = None
    handoffs: int = 0
    """How many there were in this reply."""
    failed: set[str] = field(default_factory=set)
    """Ids of tool calls that gave an error."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """Invokes a tool inside its bounds. An SDK tool invoker (``on_invoke_tool``)."""

    invoke: Callable[[ToolContext[Any], str], Awaitable[Any]]
    acts: bool
    timeout_s: float

    async def __call__(self, context: ToolContext[Any], arguments: str) -> Any:
        call = context.context
        if not isinstance(call, CallContext):
            raise TypeError("a guarded tool runs inside AgentsSdkAgent only")
        if self.acts and call.committed is not None:
            await call.committed()  # cancelled here when the speculation is revoked; the timeout starts after
        try:
            async with asyncio.timeout(self.timeout_s):
                return _plain(await self.invoke(context, arguments))
        except TimeoutError:
            return _failure(call, context, f"The tool did not answer within {self.timeout_s:g} seconds.")
        except (ToolFailed, ModelBehaviorError) as error:  # the second: arguments that do not fit the schema
            return _failure(call, context, str(error))
        except Exception as error:  # whatever a tool throws is a result for the model, never the end of the call
            return _failure(call, context, f"The tool failed ({type(error).__name__}).")


def read_only(tool: FunctionTool, *, timeout_s: float = TOOL_TIMEOUT_S) -> FunctionTool:
    """The tool, free to run before the caller's turn is committed."""
    return _guarded(tool, acts=False, timeout_s=timeout_s)


def side_effect(tool: FunctionTool, *, timeout_s: float = TOOL_TIMEOUT_S) -> FunctionTool:
    """The tool, made to wait until the caller's turn is committed."""
    return _guarded(tool, acts=True, timeout_s=timeout_s)


def guard(tool: FunctionTool) -> FunctionTool:
    """The tool as it is if it was marked, else as one with a side effect."""
    return tool if isinstance(tool.on_invoke_tool, Guarded) else side_effect(tool)


def _guarded(tool: FunctionTool, *, acts: bool, timeout_s: float) -> FunctionTool:
    # A tool's own error formatter would turn an exception into a result that looks like success.
    bare = set_function_tool_failure_error_function(copy.copy(tool), None)
    marked = copy.copy(bare)
    marked.timeout_seconds = None
    marked.on_invoke_tool = Guarded(bare.on_invoke_tool, acts, timeout_s)
    return marked


def _plain(result: Any) -> Any:
    """JSON instead of Python's own notation, which the SDK would give the model; its typed outputs stay."""
    typed = isinstance(result, dict) and "type" in result
    return json.dumps(result, default=str) if isinstance(result, dict | list | tuple) and not typed else result


def _failure(call: CallContext, context: ToolContext[Any], message: str) -> str:
    call.failed.add(context.tool_call_id)
    return json.dumps({"error": message})
