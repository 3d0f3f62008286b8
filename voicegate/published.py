"""Published agents, built from their snapshots: for calls (:mod:`voicegate.casting`) and for text."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from pipeline.adapters.demo_agent import DemoParts, build_demo
from pipeline.adapters.http_tool import HttpTool, ToolOutcome, call_tool
from pipeline.adapters.number_handoff import NumberGiven
from pipeline.adapters.openai_compatible import OpenAICompatible
from pipeline.adapters.outward_http import OutwardHttp
from pipeline.adapters.published_agent import (
    PublishedAgent,
    Remote,
    Successor,
    Surroundings,
    build_published,
    distinct,
)
from pipeline.ports import Agent, AgentOutput, AgentRequest, Message
from sessions.agents import AgentShelf, AgentSnapshot, ToolSnapshot
from sessions.sealing import SealBroken, Sealing
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import ConfigError

OpenModel = Callable[[str], OpenAICompatible]
"""The deployment's language model, or another one of its endpoint by name."""

_KEPT: Final = 256
"""Built agents; one costs some milliseconds to build and little to keep."""
TEAM: Final = 8
"""Agents that one call may be handed to, the first included."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What agents are built with. ``open_model``: None where they work by rules."""

    clock: Clock
    http: OutwardHttp
    sealing: Sealing
    open_model: OpenModel | None = None

    def tool(self, organization_id: str, tool: ToolSnapshot) -> HttpTool:
        """The tool with its secrets open."""
        secrets, broken = {}, ""
        try:
            secrets = {name: self.sealing.open(organization_id, each) for name, each in tool.secrets.items()}
        except (SealBroken, ConfigError):
            broken = "A secret of the tool cannot be opened; it must be given again."
        return HttpTool(
            tool.name,
            tool.description,
            tool.parameters,
            tool.method,
            tool.url,
            tool.headers,
            secrets,
            tool.timeout_s,
            tool.acts,
            tool.filler,
            broken,
        )

    async def call_tool(self, organization_id: str, tool: ToolSnapshot, arguments: Mapping[str, Any]) -> ToolOutcome:
        """Run a tool once, outside any call."""
        return await call_tool(self.http, self.clock, self.tool(organization_id, tool), arguments)


@dataclass(frozen=True, slots=True)
class Team:
    """An agent and those it may hand over to, behind one port."""

    agent: Agent
    voices: Mapping[str, str]
    """By name; empty: the deployment's."""


class PublishedAgents:
    """Builds teams, and keeps those it has built."""

    def __init__(self, shelf: AgentShelf, workshop: Workshop) -> None:
        self._shelf, self._workshop = shelf, workshop
        self._built: OrderedDict[tuple[object, ...], Team] = OrderedDict()

    async def team(self, first: AgentSnapshot, *, draft: bool = False) -> Team:
        """The agent with everybody it may hand over to. ``draft``: the snapshot has no version of its own yet, so what
        is built of it is not kept.

        Raises:
            StateUnavailable: Redis is away.
        """
        snapshots = await self._reachable(first)
        if draft:
            return self._build(snapshots)
        key = tuple((each.id, each.version) for each in snapshots)
        if key not in self._built:
            self._built[key] = self._build(snapshots)
        self._built.move_to_end(key)
        if len(self._built) > _KEPT:
            self._built.popitem(last=False)
        return self._built[key]

    async def _reachable(self, first: AgentSnapshot) -> list[AgentSnapshot]:
        """Breadth first, so that the nearest are in it; those that are not published any more are left out."""
        found = {first.id: first}
        waiting = [first]
        while waiting:
            for each in waiting.pop(0).handoffs:
                if not each.to_agent or each.to_agent in found or len(found) >= TEAM:
                    continue
                snapshot = await self._shelf.take(each.to_agent)
                # Of the same organisation: what stands in Redis is trusted with nobody else's agents.
                if snapshot is not None and snapshot.organization_id == first.organization_id and _plain(snapshot):
                    found[snapshot.id] = snapshot
                    waiting.append(snapshot)
        return list(found.values())

    def _build(self, snapshots: Sequence[AgentSnapshot]) -> Team:
        names = dict(zip((each.id for each in snapshots), distinct([each.name for each in snapshots]), strict=True))
        team = [self._published(each, names) for each in snapshots]
        agent = build_published(team, Surroundings(self._workshop.clock, self._workshop.http))
        return Team(agent, {names[each.id]: each.voice for each in snapshots})

    def _published(self, snapshot: AgentSnapshot, names: Mapping[str, str]) -> PublishedAgent:
        return PublishedAgent(
            names[snapshot.id],
            snapshot.instructions,
            snapshot.greeting,
            {each.topic: each.text for each in snapshot.knowledge},
            [self._workshop.tool(snapshot.organization_id, each) for each in snapshot.tools],
            [Successor(names[each.to_agent], each.condition) for each in snapshot.handoffs if each.to_agent in names],
            [NumberGiven(each.to_number, each.condition) for each in snapshot.handoffs if each.to_number],
            self._remote(snapshot.model),
        )

    def _remote(self, model: str) -> Remote | None:
        if self._workshop.open_model is None:
            return None
        client = self._workshop.open_model(model)
        return Remote(client.model, client.settings, client.provider)


class WrittenAgents:
    """Published agents and drafts, asked in writing (``control_api.text_agents.TextAgents``)."""

    def __init__(self, shelf: AgentShelf, workshop: Workshop) -> None:
        self._agents, self._workshop = PublishedAgents(shelf, workshop), workshop
        self._demo: Agent | None = None

    @property
    def provider(self) -> str:
        """See the port."""
        open_model = self._workshop.open_model
        return open_model("").provider if open_model else "local"

    def reply(
        self, snapshot: AgentSnapshot, history: Sequence[Message], text: str, *, session_id: str, agent: str = ""
    ) -> AsyncGenerator[AgentOutput, None]:
        """See the port."""
        greeting = not text and not history
        request = AgentRequest(session_id, history, text, "greeting" if greeting else "answer", agent)
        return self._reply(snapshot, request)

    async def _reply(self, snapshot: AgentSnapshot, request: AgentRequest) -> AsyncGenerator[AgentOutput, None]:
        async with aclosing((await self._agent(snapshot)).reply(request)) as outputs:
            async for output in outputs:
                yield output

    async def _agent(self, snapshot: AgentSnapshot) -> Agent:
        if _plain(snapshot):
            return (await self._agents.team(snapshot, draft=snapshot.version == 0)).agent
        if self._demo is None:
            self._demo = self._build_demo()
        return self._demo

    def _build_demo(self) -> Agent:
        if self._workshop.open_model is None:
            return build_demo()
        model = self._workshop.open_model("")
        return build_demo(parts=DemoParts(model=model.model, settings=model.settings, provider=model.provider))


def _plain(snapshot: AgentSnapshot) -> bool:
    """It is what its configuration says, and no preset with people of its own."""
    return snapshot.preset == "none"
