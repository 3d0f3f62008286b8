"""The frontend's expectations, as ``contract/pacts/`` has them, hold against the real API (Pact specification 3).

Each interaction names the state it needs. The verifier asks :func:`states` for it, and puts the values it gets (tokens,
ids) into the request; the answer is compared with the interaction's matching rules.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web
from pact import Verifier

from tests.integration.control_api.api import PASSWORD, World

PACTS = Path(__file__).resolve().parents[3] / "contract" / "pacts"
AGENT = {
    "name": "Teller",
    "configuration": {"greeting": "Hello.", "knowledge": [{"topic": "opening hours", "text": "We open at nine."}]},
}
TURNS = [{"userText": "When do you open?", "agentText": "We open at nine.", "at": "2026-01-02T03:04:05Z"}]
LATENCIES = "voice_to_voice_ms, endpointing_ms, stt_ms, agent_ms, tts_ms, playout_ms"

os.environ["PACT_DO_NOT_TRACK"] = "true"  # the library would tell its makers of each run

pytestmark = pytest.mark.asyncio(loop_scope="module")
State = Callable[[World], Awaitable[dict[str, str]]]


async def logged_in(world: World) -> dict[str, str]:
    return {"token": world.user().token}


async def with_password(world: World) -> dict[str, str]:
    return {"email": world.ours.users["owner"].email, "password": PASSWORD}


async def drafted(world: World) -> dict[str, str]:
    made = await world.user().post("/agents", AGENT)
    return {"agentId": made.body["id"], **await logged_in(world)}


async def published(world: World) -> dict[str, str]:
    values = await drafted(world)
    assert (await world.user().post(f"/agents/{values['agentId']}/publish")).status == 201
    return values


async def with_credits(world: World) -> dict[str, str]:
    granted = await world.user().post("/credits/grants", {"amountMicro": 10**9, "reason": "test"})
    assert granted.status == 201
    return await logged_in(world)


async def poor(world: World) -> dict[str, str]:
    """Another organisation's owner with a published agent, and all of its credits spent."""
    owner = world.user("owner", world.theirs)
    agent = (await owner.post("/agents", AGENT)).body["id"]
    assert (await owner.post(f"/agents/{agent}/publish")).status == 201
    async with await psycopg.AsyncConnection.connect(world.owner_url) as connection:
        await connection.execute(
            "UPDATE ledger_accounts SET balance_micro = 0 WHERE organization_id = %s", (world.theirs.id,)
        )
    return {"token": owner.token, "agentId": agent}


async def talked(world: World) -> dict[str, str]:
    made = await world.user().post("/conversations", {"turns": TURNS, "tags": ["sales"]})
    async with await psycopg.AsyncConnection.connect(world.owner_url) as connection:
        await connection.execute(
            f"UPDATE conversation_turns SET ({LATENCIES}) = (800.5, 250.5, 54.5, 150.5, 75.5, 20.5) "
            "WHERE conversation_id = %s".encode(),
            (made.body["id"],),
        )
    return {"conversationId": made.body["id"], **await logged_in(world)}


STATES: dict[str, State] = {
    "a user with a password": with_password,
    "a user is logged in": logged_in,
    "a draft of an agent": drafted,
    "an agent is published": published,
    "credits are there": with_credits,
    "no credits are there": poor,
    "a conversation with latencies": talked,
}


@asynccontextmanager
async def states(world: World) -> AsyncIterator[str]:
    """The address at which the verifier asks for states."""

    async def setup(request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        values = await STATES[asked["state"]](world) if asked.get("state") else {}
        return web.json_response(values)

    application = web.Application()
    application.router.add_post("/", setup)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def verify(api: str, states_url: str, pact: Path) -> None:
    """Raises RuntimeError if the API does not keep to it."""
    verifier = Verifier("control API", host="localhost").add_transport(url=api).add_source(pact)
    verifier.set_coloured_output(enabled=False).state_handler(states_url, body=True)
    try:
        verifier.verify()
    except RuntimeError as error:
        raise RuntimeError(verifier.output(strip_ansi=True)) from error


def pacts() -> list[Path]:
    return sorted(PACTS.glob("*.json"))


async def test_states_that_are_named_are_there() -> None:
    assert pacts()
    interactions = [each for path in pacts() for each in json.loads(path.read_text())["interactions"]]
    assert {state["name"] for each in interactions for state in each["providerStates"]} <= STATES.keys()


@pytest.mark.parametrize("pact", pacts(), ids=lambda path: path.stem)
async def test_the_frontend_gets_what_it_expects(world: World, pact: Path) -> None:
    async with states(world) as address:
        await asyncio.to_thread(verify, world.url, address, pact)


async def test_a_broken_promise_is_found(world: World, tmp_path: Path) -> None:
    """A field that the API does not give, and a type that it does not have."""
    broken = json.loads(pacts()[0].read_text())
    broken["interactions"] = [each for each in broken["interactions"] if each["description"] == "the balance"]
    broken["interactions"][0]["response"]["body"]["surprise"] = 1
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(broken))
    async with states(world) as address:
        with pytest.raises(RuntimeError, match="surprise"):
            await asyncio.to_thread(verify, world.url, address, path)
