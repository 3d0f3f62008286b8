"""A shop's agents, with tools that reach a real server: in writing, and in calls."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.integration.control_api.api import Client, World
from tests.integration.control_api.far_side import FarSide

ORDER = {"type": "object", "properties": {"order_number": {"type": "integer"}}, "required": ["order_number"]}


@dataclass(slots=True)
class Shop:
    """An organisation's agents: Teller with a tool, who hands over to Clerk for refunds, and Clerk back to Teller."""

    world: World
    side: FarSide
    agents: dict[str, str] = field(default_factory=dict)
    handoffs: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        return self.world.user()

    async def post(self, path: str, body: object) -> Any:
        got = await self.client.post(path, body)
        assert got.status in (200, 201), got.data
        return got.body

    async def agent(self, name: str, text: str, voice: str = "") -> None:
        knowledge = [{"topic": "opening hours", "text": text}]
        configuration = {"greeting": f"Hello, {name} speaking.", "knowledge": knowledge, "voice": voice}
        self.agents[name] = (await self.post("/agents", {"name": name, "configuration": configuration}))["id"]

    async def handoff(self, giver: str, condition: str, **to: str) -> None:
        body = {"fromAgentId": self.agents[giver], "condition": condition, **to}
        self.handoffs[giver + next(iter(to))] = (await self.post("/handoffs", body))["id"]

    async def tool(self, name: str, description: str, path: str, **more: Any) -> None:
        configuration = {"url": self.side.url + path, "sideEffect": False, **more}
        body = {"name": name, "description": description, "configuration": configuration}
        await self.post("/tools", {**body, "parameters": ORDER, "agentId": self.agents["Teller"]})

    async def publish(self) -> None:
        for agent in self.agents.values():
            await self.post(f"/agents/{agent}/publish", {})

    async def chat(self, text: str, name: str = "Teller", **more: Any) -> list[dict[str, Any]]:
        got = await self.client.post(f"/agents/{self.agents[name]}/chat", {"text": text, **more})
        assert got.status == 200, got.data
        assert got.headers["Content-Type"].startswith("text/event-stream")
        return events(got.data)


def events(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: ")]


@asynccontextmanager
async def opened_shop(world: World, side: FarSide) -> AsyncIterator[Shop]:
    """Published, ready to be asked."""
    made = Shop(world, side)
    await made.agent("Teller", "We open at nine.")
    await made.agent("Clerk", "The refund desk opens at ten.", voice="deep")
    lookup = "Looks up the status of an order."
    await made.tool("order_status", lookup, "/orders/{order_number}", filler="Let me look.")
    await made.tool("track_parcel", "Tracks a parcel slowly.", "/slow/{order_number}")
    await made.handoff("Teller", "I want a refund, money back", toAgentId=made.agents["Clerk"])
    await made.handoff("Clerk", "I want a refund, order status", toAgentId=made.agents["Teller"])
    await made.handoff("Teller", "make a complaint", toNumber="+15550100")
    await made.publish()
    yield made
