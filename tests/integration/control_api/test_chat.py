"""An agent in writing: over real HTTP, with tools that reach a real server, and other agents that take over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import psycopg
import pytest
import pytest_asyncio

from tests.integration.control_api.api import running_world
from tests.integration.control_api.conftest import a_database
from tests.integration.control_api.far_side import far_side
from tests.integration.control_api.shop import Shop, events, opened_shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


def kinds(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in told if event["type"] != "reply.text"]


def said(told: list[dict[str, Any]]) -> str:
    return " ".join(event["text"] for event in told if event["type"] == "reply.text")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(postgres_url: str, template: str, shared_redis_url: str) -> AsyncIterator[Shop]:
    async with (
        a_database(postgres_url, template) as url,
        far_side() as side,
        running_world(url, shared_redis_url, plain_http_tools=True) as world,
        opened_shop(world, side) as made,
    ):
        yield made


async def test_an_answer_is_events_in_order(shop: Shop) -> None:
    told = await shop.chat("What are your opening hours?")
    assert kinds(told) == ["reply.started", "reply.finished"]
    assert said(told) == told[-1]["text"] == "We open at nine."
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert {event["turn"] for event in told} == {1}


async def test_a_tool_is_called_and_the_conversation_remembers(shop: Shop) -> None:
    first = await shop.chat("What is the status of my order?")
    assert said(first) == "What is the order number?"
    chat = first[0]["sessionId"]
    told = await shop.chat("It is forty two", conversationId=chat)
    assert kinds(told) == ["reply.started", "tool.started", "tool.finished", "reply.finished"]
    tool = next(event for event in told if event["type"] == "tool.finished")
    assert (tool["name"], tool["ok"]) == ("order_status", True)
    assert said(told) == "Let me look. Order 42 is on its way."
    assert [event["type"] for event in told].index("reply.text") < kinds(told).index("tool.started") + 1
    assert shop.side.seen[-1][:2] == ("GET", "/orders/42")
    assert (told[0]["seq"], told[0]["turn"]) == (first[-1]["seq"] + 1, 2), "it goes on"
    kept = (await shop.client.get(f"/conversations/{chat}")).body
    assert (kept["transport"], kept["status"], kept["turnsCount"]) == ("chat", "ended", 2)
    assert [turn["agentText"] for turn in kept["turns"]] == [said(first), said(told)]
    assert kept["turns"][1]["tools"][0]["name"] == "order_status"
    text = (await shop.client.get(f"/conversations/{chat}/transcript?format=text")).data
    assert b"forty two" in text
    assert b"on its way" in text


async def test_another_agent_takes_over_and_keeps_the_floor(shop: Shop) -> None:
    told = await shop.chat("I want a refund")
    handoffs = [(event["fromAgent"], event["toAgent"]) for event in told if event["type"] == "handoff"]
    assert handoffs == [("Teller", "Clerk")], "two that each would hand over do it once"
    assert "Clerk" in said(told)
    later = await shop.chat("What are your opening hours?", conversationId=told[0]["sessionId"])
    assert said(later) == "The refund desk opens at ten."
    turns = (await shop.client.get(f"/conversations/{told[0]['sessionId']}")).body["turns"]
    assert [turn["agentName"] for turn in turns] == ["Clerk", "Clerk"]


async def test_what_is_not_stored_leaves_no_trace(shop: Shop) -> None:
    told = await shop.chat("What are your opening hours?", store=False)
    assert said(told) == "We open at nine."
    assert (await shop.client.get(f"/conversations/{told[0]['sessionId']}")).code == "not_found"


async def test_a_draft_can_be_asked_before_it_is_published(shop: Shop) -> None:
    configuration = {"knowledge": [{"topic": "opening hours", "text": "We open at noon."}]}
    agent = (await shop.post("/agents", {"name": "Late", "configuration": configuration}))["id"]
    refused = await shop.client.post(f"/agents/{agent}/chat", {"text": "Hello"})
    assert refused.code == "not_published"
    told = events((await shop.client.post(f"/agents/{agent}/chat", {"text": "opening hours", "version": "draft"})).data)
    assert said(told) == "We open at noon."


async def test_a_handoff_is_tried(shop: Shop) -> None:
    async def tried(handoff: str, text: str) -> tuple[bool, str | None]:
        body = await shop.post(f"/handoffs/{shop.handoffs[handoff]}/test", {"text": text})
        return body["wouldHandOver"], body["handedTo"]

    assert await tried("TellertoAgentId", "I want a refund please") == (True, "Clerk")
    assert await tried("TellertoAgentId", "What are your opening hours?") == (False, None)
    assert await tried("TellertoNumber", "I want to make a complaint") == (True, "+15550100")
    assert await tried("TellertoNumber", "I want a refund please") == (False, "Clerk")


async def test_handoffs_are_read_changed_and_taken_away(shop: Shop) -> None:
    body = {"fromAgentId": shop.agents["Clerk"], "toNumber": "+15550101"}
    made = await shop.post("/handoffs", body)
    path = f"/handoffs/{made['id']}"
    assert (await shop.client.post("/handoffs", body)).code == "conflict"
    assert (await shop.client.patch(path, {"condition": "x"})).code == "precondition_required"
    changed = await shop.client.patch(path, {"condition": "x"}, headers={"If-Match": '"r1"'})
    assert (changed.body["condition"], changed.headers["ETag"]) == ("x", '"r2"')
    listed = (await shop.client.get(f"/handoffs?fromAgentId={shop.agents['Clerk']}")).body["items"]
    assert listed[0]["id"] == made["id"]
    assert (await shop.client.delete(path)).status == 204
    assert (await shop.client.get(path)).code == "not_found"


@pytest.mark.parametrize(
    "to",
    [
        {},
        {"toNumber": "12"},
        {"toNumber": "+1 555"},
        {"toAgentId": "SELF"},
        {"toAgentId": "OTHER", "toNumber": "+15550101"},
    ],
)
async def test_handoffs_that_lead_nowhere(shop: Shop, to: dict[str, str]) -> None:
    names = {"SELF": shop.agents["Teller"], "OTHER": shop.agents["Clerk"]}
    leads = {key: names.get(value, value) for key, value in to.items()}
    assert (await shop.client.post("/handoffs", {"fromAgentId": shop.agents["Teller"], **leads})).code == "invalid"


async def test_a_foreign_agent_gets_no_handoff_and_no_chat(shop: Shop) -> None:
    stranger = shop.world.user("owner", shop.world.theirs)
    own = (await stranger.post("/agents", {"name": "Own", "configuration": {"instructions": "x"}})).body["id"]
    for giver, taker in ((own, shop.agents["Clerk"]), (shop.agents["Clerk"], own)):
        got = await stranger.post("/handoffs", {"fromAgentId": giver, "toAgentId": taker})
        assert got.code == "not_found"
    told = await shop.chat("What are your opening hours?")
    assert (await stranger.post(f"/agents/{own}/publish")).status == 201
    foreign = {"text": "Hello", "conversationId": told[0]["sessionId"]}
    assert (await stranger.post(f"/agents/{own}/chat", foreign)).code == "not_found"
    other = await shop.client.post(f"/agents/{shop.agents['Clerk']}/chat", foreign)
    assert other.code == "conflict", "it is another agent's"


async def test_an_erased_chat_holds_no_word_and_does_not_go_on(shop: Shop) -> None:
    chat = (await shop.chat("What is the status of my order?"))[0]["sessionId"]
    await shop.chat("forty two", conversationId=chat)
    assert (await shop.client.post(f"/conversations/{chat}/erase")).status == 200
    kept = await shop.client.get(f"/conversations/{chat}")
    assert [tool.keys() for turn in kept.body["turns"] for tool in turn["tools"]] == [{"name", "ok", "durationMs"}]
    assert not [words for words in (b"forty", b"on its way") if words in kept.data]
    more = {"text": "Hello", "conversationId": chat}
    assert (await shop.client.post(f"/agents/{shop.agents['Teller']}/chat", more)).code == "conflict"


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": " "}, {"text": "x" * 4001}, {"text": "a", "version": "2"}])
async def test_what_is_no_chat(shop: Shop, body: dict[str, Any]) -> None:
    assert (await shop.client.post(f"/agents/{shop.agents['Teller']}/chat", body)).code == "invalid"


async def test_a_client_that_leaves_stops_the_agent_and_its_tool(shop: Shop) -> None:
    started = (await shop.chat("Track a parcel slowly"))[0]["sessionId"]
    url = f"{shop.world.url}/api/v1/agents/{shop.agents['Teller']}/chat"
    headers = {"Authorization": f"Bearer {shop.client.token}"}
    async with aiohttp.ClientSession() as leaving:
        body = {"text": "forty two", "conversationId": started}
        async with leaving.post(url, json=body, headers=headers) as response:
            assert response.status == 200
            await asyncio.wait_for(shop.side.waiting.wait(), 10)
            busy = await shop.client.post(f"/agents/{shop.agents['Teller']}/chat", body)
            assert busy.code == "conflict", "one answer at a time"
            response.close()
    await asyncio.wait_for(shop.side.left.wait(), 5)  # the tool alone would have gone on for eight seconds
    async with asyncio.timeout(10):
        while (kept := (await shop.client.get(f"/conversations/{started}")).body)["status"] == "active":
            await asyncio.sleep(0.02)
    assert kept["endedReason"] == "interrupted"
    assert kept["turns"][1]["userText"] == "forty two"
    later = await shop.chat("What are your opening hours?", conversationId=started)
    assert said(later) != "", "the chat goes on"


async def test_a_chat_is_paid_for(shop: Shop) -> None:
    await shop.chat("What are your opening hours?")
    holds = (await shop.client.get("/credits/holds?limit=100")).body["items"]
    chats = [hold for hold in holds if hold["sessionId"].startswith("chat-")]
    assert chats
    assert {hold["state"] for hold in chats} == {"settled"}
    async with await psycopg.AsyncConnection.connect(shop.world.owner_url) as connection:
        theirs = str(shop.world.theirs.id)
        await connection.execute("UPDATE ledger_accounts SET balance_micro = 0 WHERE organization_id = %s", (theirs,))
    stranger = shop.world.user("owner", shop.world.theirs)
    agent = (await stranger.post("/agents", {"name": "Poor", "configuration": {"instructions": "x"}})).body["id"]
    refused = await stranger.post(f"/agents/{agent}/chat", {"text": "Hello", "version": "draft"})
    assert refused.code == "insufficient_credits"
    assert (await stranger.get(f"/conversations?agentId={agent}")).body["items"] == [], "nothing was begun"
