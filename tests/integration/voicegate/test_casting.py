"""Who answers a call: the deployment's own agent, or a published one at its newest version."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from pipeline.adapters.demo_agent import build_demo
from pipeline.adapters.outward_http import outward_http
from pipeline.ports import AgentRequest, SeveralAgents, TextDelta
from pipeline.session_config import Engines, SessionConfig
from sessions.agents import AgentShelf, AgentSnapshot, HandoffSnapshot, Knowledge
from sessions.sealing import Sealing
from voicegate.casting import Cast, Casting, is_published_id
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import RefusedCall
from voicegate.published import TEAM, Workshop

AGENT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
NOT_ASKED = cast(Any, None)
"""Engines that choosing an agent does not look at."""
TELLER = AgentSnapshot(
    id=AGENT,
    version=1,
    name="Teller",
    organization_id="o",
    greeting="Hello, this is the teller.",
    knowledge=(Knowledge("opening hours", "We open at nine."),),
)


@pytest.fixture
async def shelf(redis_url: str) -> AsyncIterator[AgentShelf]:
    async with Redis.from_url(redis_url, protocol=2) as client:
        yield AgentShelf(client)


@pytest.fixture
async def casting(shelf: AgentShelf) -> AsyncIterator[Casting]:
    engines = Engines(vad=NOT_ASKED, stt=NOT_ASKED, agent=build_demo(), tts=NOT_ASKED)
    async with outward_http() as http:
        workshop = Workshop(SystemClock(), http, Sealing("a secret of the tests"))
        yield Casting(shelf, engines, SessionConfig(voice="house"), workshop)


async def said(cast: Cast, text: str) -> str:
    request = AgentRequest("s", (), text, kind="answer" if text else "greeting")
    return "".join([part.text async for part in cast.engines.agent.reply(request) if isinstance(part, TextDelta)])


async def test_the_deployments_own_agent(casting: Casting) -> None:
    for name in ("", "Daniel", "nobody"):
        chosen = await casting(name)
        assert (chosen.engines.agent.starting_agent, chosen.published) == ("Amelia", False)


async def test_a_published_agent_is_what_was_published(casting: Casting, shelf: AgentShelf) -> None:
    await shelf.put(TELLER)
    chosen = await casting(AGENT)
    assert (chosen.engines.agent.starting_agent, chosen.published) == ("Teller", True)
    assert await said(chosen, "") == "Hello, this is the teller."
    assert await said(chosen, "What are your opening hours?") == "We open at nine."
    assert chosen.config.voice_of("Teller") == "house"
    assert (await casting(AGENT)).engines.agent is chosen.engines.agent, "it is built once"


async def test_a_new_version_is_of_the_next_call(casting: Casting, shelf: AgentShelf) -> None:
    await shelf.put(TELLER)
    before = await casting(AGENT)
    second = AgentSnapshot(id=AGENT, version=2, name="Clerk", organization_id="o", voice="slt", language="de")
    await shelf.put(second)
    await shelf.put(TELLER)  # delivered late, and again: the newer one stays
    after = await casting(AGENT)
    assert after.engines.agent.starting_agent == "Clerk"
    assert (after.config.voice, after.config.language) == ("slt", "de")
    assert before.engines.agent.starting_agent == "Teller", "a call in progress keeps its agent"


async def test_the_preset_is_the_demo(casting: Casting, shelf: AgentShelf) -> None:
    await shelf.put(AgentSnapshot(id=AGENT, version=1, name="Any", organization_id="o", preset="estate-agency"))
    assert (await casting(AGENT)).engines.agent.starting_agent == "Amelia"


def number(count: int) -> str:
    return f"7c9e6679-7425-40de-944b-{count:012}"


def handing(count: int, *to: int, name: str = "", organization: str = "o", voice: str = "") -> AgentSnapshot:
    handoffs = tuple(HandoffSnapshot(condition="", to_agent=number(each)) for each in to)
    called = name or f"Agent {count}"
    return AgentSnapshot(
        id=number(count), version=1, name=called, organization_id=organization, voice=voice, handoffs=handoffs
    )


def names(chosen: Cast) -> tuple[str, ...]:
    assert isinstance(chosen.engines.agent, SeveralAgents)
    return chosen.engines.agent.names


async def test_those_it_hands_over_to_are_there_with_their_voices(casting: Casting, shelf: AgentShelf) -> None:
    for snapshot in (handing(1, 2, voice="rms"), handing(2, 3, 1), handing(3, 2, voice="slt"), handing(4)):
        await shelf.put(snapshot)
    chosen = await casting(number(1))
    assert names(chosen) == ("Agent 1", "Agent 2", "Agent 3")
    assert [chosen.config.voice_of(name) for name in names(chosen)] == ["rms", "house", "slt"]


async def test_a_successor_is_what_it_published_last(casting: Casting, shelf: AgentShelf) -> None:
    for snapshot in (handing(1, 2), handing(2)):
        await shelf.put(snapshot)
    before = await casting(number(1))
    later = AgentSnapshot(id=number(2), version=2, name="Later", organization_id="o")
    await shelf.put(later)
    assert (names(before)[1], names(await casting(number(1)))[1]) == ("Agent 2", "Later")


async def test_nobody_is_handed_to_what_is_gone_foreign_or_a_preset(casting: Casting, shelf: AgentShelf) -> None:
    preset = AgentSnapshot(id=number(3), version=1, name="P", organization_id="o", preset="estate-agency")
    for snapshot in (handing(1, 2, 3, 4), handing(2, organization="another"), preset):
        await shelf.put(snapshot)
    assert names(await casting(number(1))) == ("Agent 1",)


async def test_a_team_is_bounded_and_its_names_differ(casting: Casting, shelf: AgentShelf) -> None:
    for count in range(1, TEAM + 4):
        await shelf.put(handing(count, count + 1, name="Böb" if count % 2 else "Bob!"))
    found = names(await casting(number(1)))
    assert len(set(found)) == len(found) == TEAM
    assert found[:4] == ("Böb", "Bob!", "Böb 2", "Bob! 2"), "what a model calls them by must differ too"


async def test_an_agent_that_is_not_published_is_refused(casting: Casting, shelf: AgentShelf) -> None:
    with pytest.raises(RefusedCall, match="not published"):
        await casting(AGENT)
    await shelf.put(TELLER)
    await shelf.remove(AGENT)
    with pytest.raises(RefusedCall, match="not published"):
        await casting(AGENT)


@pytest.mark.parametrize("name", [AGENT.upper(), AGENT.replace("-", ""), f"{{{AGENT}}}", "Amelia", "x" * 64])
def test_names_that_are_no_ids(name: str) -> None:
    assert not is_published_id(name)


async def test_published_agents_are_listed_newest_first(shelf: AgentShelf) -> None:
    ids = [f"7c9e6679-7425-40de-944b-e07fc1f90ae{number}" for number in range(4)]
    for number, agent_id in enumerate(ids):
        await shelf.put(AgentSnapshot(id=agent_id, version=1, name=f"Agent {number}", organization_id="o"))
        await asyncio.sleep(0.002)  # Redis' own clock says which is newer
    await shelf.remove(ids[3])
    assert await shelf.names(2) == [(ids[2], "Agent 2"), (ids[1], "Agent 1")]
    await shelf.put(AgentSnapshot(id=ids[0], version=2, name="Again", organization_id="o"))
    assert (await shelf.names(100))[0] == (ids[0], "Again")
