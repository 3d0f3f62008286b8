"""A call over a WebSocket to an agent that was published by the API: it uses its tool, and hands over."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.simulated import EnergyActivity, Latencies, SimulatedSpeech, SimulatedSpeechToText
from pipeline.adapters.demo_agent import build_demo
from pipeline.ports import SpeechChunk
from pipeline.session_config import Engines
from tests.e2e.here import serving
from tests.integration.control_api.api import SECRET, running_world
from tests.integration.control_api.conftest import a_database
from tests.integration.control_api.far_side import far_side
from tests.integration.control_api.shop import Shop, opened_shop

QUICK = Latencies(stt_ms=1, tts_ms=1)


class Voices(SimulatedSpeech):
    """Notes who said what."""

    def __init__(self) -> None:
        super().__init__(QUICK)
        self.said: list[tuple[str, str]] = []

    async def stream(
        self, phrase: str, *, voice: str = "", previous_text: str = ""
    ) -> AsyncGenerator[SpeechChunk, None]:
        self.said.append((voice, phrase))
        async with aclosing(super().stream(phrase)) as chunks:
            async for chunk in chunks:
                yield chunk


class Caller:
    """Types, and reads events."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.events: list[dict[str, Any]] = []

    async def types(self, text: str) -> None:
        await self._socket.send(json.dumps({"type": "text", "text": text}))

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of this kind with these fields."""
        async with asyncio.timeout(20):
            async for message in self._socket:
                if isinstance(message, bytes):
                    continue
                event = json.loads(message)
                self.events.append(event)
                if event["type"] == kind and fields.items() <= event.items():
                    return dict(event)
        raise AssertionError(f"no {kind}: {self.events}")


@pytest.fixture
async def shop(postgres_url: str, template: str, shared_redis_url: str) -> AsyncIterator[Shop]:
    async with (
        a_database(postgres_url, template) as url,
        far_side() as side,
        running_world(url, shared_redis_url, plain_http_tools=True) as world,
        opened_shop(world, side) as made,
    ):
        yield made


async def test_a_caller_gets_what_the_tool_found_and_is_handed_over(
    shop: Shop, shared_redis_url: str, tmp_path: Path
) -> None:
    voices = Voices()
    engines = Engines(EnergyActivity(), SimulatedSpeechToText(QUICK), build_demo(), voices)
    settings = {"redis_url": shared_redis_url, "token_secret": SECRET, "tools_private_hosts": True, "voice": "house"}
    session = await shop.post(f"/agents/{shop.agents['Teller']}/sessions", {})
    headers = {"Authorization": f"Bearer {session['token']}"}
    async with serving(tmp_path, engines, **settings) as here:
        address = f"{here.url}/voice/{session['sessionId']}"
        async with connect(address, subprotocols=[Subprotocol("voice.v1")], additional_headers=headers) as socket:
            caller = Caller(socket)
            await socket.send(json.dumps({"type": "session.start", "greeting": False}))
            await caller.until("session.started")
            await caller.types("What is the status of my order?")
            await caller.until("reply.text", text="What is the order number?")
            await caller.types("forty two")
            started = await caller.until("tool.started")
            assert (started["name"], json.loads(started["arguments"])) == ("order_status", {"order_number": 42})
            finished = await caller.until("tool.finished")
            assert (finished["ok"], finished["callId"]) == (True, started["callId"])
            await caller.until("reply.text", text="Order 42 is on its way.")
            await caller.types("I want a refund")
            handoff = await caller.until("handoff")
            assert (handoff["fromAgent"], handoff["toAgent"]) == ("Teller", "Clerk")
            await caller.until("reply.text")
            await caller.types("What are your opening hours?")
            await caller.until("reply.text", text="The refund desk opens at ten.")
            await socket.send(json.dumps({"type": "session.end"}))
            await caller.until("session.ended")
    assert shop.side.seen[-1][1] == "/orders/42"
    assert [phrase for _, phrase in voices.said if phrase == "Let me look."], "the caller hears that it takes a moment"
    spoken = {phrase: voice for voice, phrase in voices.said}
    assert spoken["What is the order number?"] == "house"
    assert spoken["The refund desk opens at ten."] == "deep", "who took over speaks with a voice of his own"
    async with asyncio.timeout(10):
        query = f"/conversations?agentId={shop.agents['Teller']}"
        while not (kept := (await shop.client.get(query)).body["items"]) or kept[0]["status"] == "active":
            await asyncio.sleep(0.05)
    turns = (await shop.client.get(f"/conversations/{kept[0]['id']}")).body["turns"]
    assert [tool["name"] for turn in turns for tool in turn["tools"]] == ["order_status"]
    assert turns[-1]["agentName"] == "Clerk"
