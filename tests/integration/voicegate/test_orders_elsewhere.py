"""``POST /phone/calls/{session_id}`` at a gateway that does not have the call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from gateway.config import GatewayConfig
from gateway.parts import build_parts
from gateway.phone.capability import Capabilities, NotesHere
from gateway.phone.door import phone_routes
from gateway.phone.line_orders import PhoneOrders
from gateway.phone.lines import PhoneLines
from gateway.phone.messages import PhoneCall
from gateway.server import build_application, serve
from tests.integration.voicegate.conftest import STATE, Begin
from tests.integration.voicegate.test_orders import Api, Line
from voicegate.call import Call
from voicegate.casting import Cast
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.observability.prometheus import PrometheusTelemetry
from voicegate.orders import obeying, open_orders
from voicegate.phones import phone_parts
from voicegate.settings import load


@dataclass
class Elsewhere:
    """A call in one process, and the address of another one."""

    call: Call
    line: Line
    api: Api
    url: str

    async def order(self, body: object, session: str = "call", **headers: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/phone/calls/{session}", json=body, headers=headers) as response,
        ):
            return response.status, (await response.json())["code"] if response.status != 204 else ""


async def nobody(agent_id: str, organization_id: str) -> Cast:
    raise RefusedCall("gone", "not published")


@pytest.fixture
async def elsewhere(begin: Begin, redis_url: str) -> AsyncIterator[Elsewhere]:
    clock, metrics, key = SystemClock(), CollectorRegistry(), "0123456789abcdef-key"
    async with AsyncExitStack() as stack:
        holder, other = await begin("holder"), await begin("other")
        lines, api = PhoneLines(), Api()
        phones = PhoneOrders(lines, Capabilities(NotesHere(clock), hold_s=60), {"telnyx": api})
        await stack.enter_async_context(obeying(redis_url, STATE, holder.registry, nobody, phones))
        orders = await stack.enter_async_context(open_orders(redis_url, STATE, clock))
        config = GatewayConfig(port=0, connection_burst=10_000.0, api_keys=(key,))
        telemetry = PrometheusTelemetry(metrics)
        parts = build_parts(config, other.registry, clock=clock, telemetry=telemetry, checks={})
        doors = replace(phone_parts(load(port=0), other.registry, NotesHere(clock)), elsewhere=orders.send)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        application = build_application(parts, metrics, routes=phone_routes(parts, doors))
        gateway = await stack.enter_async_context(serve(parts, application, tasks))
        call = await holder.attach()
        line = Line(PhoneCall("telnyx", "C1"), call)
        lines.add("call", line)
        yield Elsewhere(call, line, api, f"http://{gateway.host}:{gateway.port}")


async def test_a_call_of_another_process_is_transferred(elsewhere: Elsewhere) -> None:
    assert await elsewhere.order({"action": "keys", "digits": "1#"}) == (409, "not_possible")
    elsewhere.api.refuses = True
    assert await elsewhere.order({"action": "transfer", "to": "+15559"}) == (502, "carrier_failed")
    elsewhere.api.refuses = False
    assert await elsewhere.order({"action": "transfer", "to": "+15559"}) == (204, "")
    assert elsewhere.api.asked == [("C1", "+15559")]
    assert await elsewhere.call.ended() == "transferred"
    assert await elsewhere.order({"action": "hangUp"}) == (404, "unknown_session")


async def test_a_call_of_another_process_is_hung_up(elsewhere: Elsewhere) -> None:
    assert await elsewhere.order({"action": "hangUp"}, session="nobody") == (404, "unknown_session")
    assert await elsewhere.order({"action": "hangUp"}) == (204, "")
    assert await elsewhere.call.ended() == "operator"


async def test_who_may_not(elsewhere: Elsewhere) -> None:
    assert await elsewhere.order({"action": "dance"}) == (400, "bad_request")
    assert await elsewhere.order({"action": "keys", "digits": "E"}) == (400, "bad_request")
    far = {"X-Forwarded-For": "203.0.113.7"}
    assert await elsewhere.order({"action": "hangUp"}, **far) == (403, "foreign_client")
    assert await elsewhere.order({"action": "hangUp"}, Authorization="Bearer wrong") == (401, "unauthorized")
    elsewhere.call.hang_up("client")
    assert await elsewhere.call.ended() == "client"
