"""A caller of the demo agents, on a fixed day."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import pytest

from pipeline.adapters.demo.viewings import ViewingsInMemory
from pipeline.adapters.demo_agent import DemoParts, build_demo
from pipeline.ports import (
    Agent,
    AgentRequest,
    CallEnded,
    HandedOff,
    Message,
    TextDelta,
    ToolCalled,
    ToolReturned,
)

Kind: TypeAlias = Literal["answer", "greeting", "idle", "resume"]


class FridayNoon:
    """The twentieth of November 2026, 12:40 in London."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime(2026, 11, 20, 12, 40, tzinfo=UTC)


@dataclass
class Caller:
    """Holds the history as a session would, and says one thing after another."""

    viewings: ViewingsInMemory = field(default_factory=ViewingsInMemory)
    session_id: str = "s1"
    history: list[Message] = field(default_factory=list)
    agent: str = "Amelia"
    tools: list[str] = field(default_factory=list)
    """``name{arguments}`` of the last reply's calls; handoffs as ``>Name``."""
    ended: bool = False
    fresh: bool = False
    """Whether every turn is answered by an agent that was never used before."""

    def __post_init__(self) -> None:
        self._desk = self._build()

    def _build(self) -> Agent:
        return build_demo(parts=DemoParts(viewings=self.viewings, clock=FridayNoon()))

    async def say(
        self, text: str, *, kind: Kind = "answer", confidence: float | None = None, cut_to: int | None = None
    ) -> str:
        """The reply to ``text``. ``cut_to``: the caller heard only so many characters of it."""
        desk = self._build() if self.fresh else self._desk
        kind = kind if text or kind != "answer" else "greeting"
        request = AgentRequest(
            self.session_id, tuple(self.history), text, kind=kind, agent=self.agent, confidence=confidence
        )
        reply, calls, self.tools = "", [], []
        async for output in desk.reply(request):
            match output:
                case TextDelta(part):
                    reply += part
                case ToolCalled(call_id, name, arguments):
                    self.tools.append(f"{name}{arguments}")
                    calls.append(Message("tool_call", arguments, name=name, call_id=call_id))
                case ToolReturned(call_id, name, ok, result):
                    assert ok, result
                    calls.append(Message("tool_result", result, name=name, call_id=call_id))
                case HandedOff(_, agent):
                    self.tools.append(f">{agent}")
                    self.agent = agent
                case CallEnded():
                    self.ended = True
        if text:
            self.history.append(Message("user", text))
        heard = reply if cut_to is None else reply[:cut_to]
        self.history += [*calls, Message("assistant", heard, agent=self.agent, interrupted=cut_to is not None)]
        return reply


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def another_caller() -> Callable[..., Caller]:
    return Caller
