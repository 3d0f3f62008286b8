"""Processes of the product without their sockets: a registry of calls each, on one real Redis."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from benchmarks.simulated import EnergyActivity, Latencies, SimulatedSpeech, SimulatedSpeechToText
from gateway.conversation import CallRequest, Resume
from pipeline.allowance import Allowance
from pipeline.ports import AgentOutput, AgentRequest, TextDelta, ToolCalled, ToolReturned
from pipeline.session_config import Engines, SessionConfig
from sessions.budget import BudgetShelf
from sessions.config import Config as StateConfig
from sessions.connection import open_client
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.store import Store
from voicegate.call import Call
from voicegate.calls import CallRegistry, CallsConfig, State
from voicegate.casting import Cast
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import Event, SessionEnded, SessionStarted
from voicegate.kernel.ids import SessionId
from voicegate.payments import Payments

QUICK = Latencies(stt_ms=1, tts_ms=1)
STATE = StateConfig(
    redis_timeout_s=0.3, lease_ttl_s=1.0, resume_window_s=60, retry_first_s=0.01, retry_most_s=0.05, close_timeout_s=1
)


@dataclass
class Listed:
    """An agent that looks something up, says what it was asked, and keeps the requests."""

    provider: str = "listed"
    starting_agent: str = "listed"
    requests: list[AgentRequest] = field(default_factory=list)
    asked_at: list[datetime] = field(default_factory=list)
    """When each request came, UTC."""

    async def reply(self, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        self.requests.append(request)
        self.asked_at.append(SystemClock().utc())
        if request.kind == "answer":
            call_id = f"c{len(self.requests)}"
            yield ToolCalled(call_id, "look_up", '{"what": "it"}')
            yield ToolReturned(call_id, "look_up", True, f"facts about {request.text}")
        yield TextDelta(f"You said {request.text or request.kind}.")


@dataclass
class Process:
    """One process's calls, and all events that were observed in it."""

    registry: CallRegistry
    store: Store
    journal: Journal
    agent: Listed
    allowance: Allowance
    observed: list[Event] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def attach(
        self, session_id: str = "call", resume: Resume | None = None, *, clips: bool = False, greeting: bool = False
    ) -> Call:
        request = CallRequest(
            SessionId(session_id), "test", 16_000, clips=clips, greeting=greeting, resume=resume, input_format="none"
        )
        return await self.registry.attach(request)

    async def leave(self) -> None:
        """The process shuts down in order."""
        await self._stack.aclose()

    @property
    def begun(self) -> list[bool]:
        """For each call that began here, whether it had begun elsewhere."""
        return [event.resumed for event in self.observed if isinstance(event, SessionStarted)]

    @property
    def ended(self) -> list[str]:
        return [event.reason for event in self.observed if isinstance(event, SessionEnded)]


Begin = Callable[..., Awaitable[Process]]


@pytest.fixture
async def begin(redis_url: str) -> AsyncIterator[Begin]:
    """``await begin("b", max_calls=1)``: another process on the same Redis."""
    async with AsyncExitStack() as stack:

        async def make(owner: str = "a", *, payer: str = "", **config: float) -> Process:
            own = await stack.enter_async_context(AsyncExitStack())
            client, store_client = open_client(redis_url, STATE), open_client(redis_url, STATE)
            own.push_async_callback(client.aclose)
            own.push_async_callback(store_client.aclose)
            leases = await own.enter_async_context(Leases(client, STATE, owner))
            journal = await own.enter_async_context(Journal(client, STATE, leases))
            store, observed, allowance = Store(store_client, STATE), list[Event](), Allowance()
            agent = Listed()
            engines = Engines(EnergyActivity(), SimulatedSpeechToText(QUICK), agent, SimulatedSpeech(QUICK))
            conversations = SessionConfig(allowance=allowance)

            async def paid(name: str) -> Cast:
                return Cast(engines, conversations, payer=payer)

            registry = CallRegistry(
                engines,
                conversations,
                CallsConfig(**config),  # type: ignore[arg-type]
                State(store, leases, journal, STATE),
                SystemClock(),
                observed.append,
                cast=paid if payer else None,
                payments=Payments(BudgetShelf(store_client, 60)),
            )
            await own.enter_async_context(registry)
            return Process(registry, store, journal, agent, allowance, observed, own)

        yield make
