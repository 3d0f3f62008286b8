"""Credits: grants, holds, usage through the gateway's own journal, settling, and holds that belong to nobody."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from benchmarks import ledger_error
from control_api.credits import orphans
from control_api.credits.config import CreditsConfig
from control_api.credits.orphans import Orphans, token_id
from sessions.budget import BudgetShelf
from sessions.keys import session_keys
from sessions.log import SessionLog
from sessions.notes import SharedNotes
from tests.integration.control_api.api import Client, World
from tests.integration.control_api.test_conversations import a_published_agent, at, calling, started, until
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.events import SessionEnded, Usage
from voicegate.kernel.ids import SessionId

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = CreditsConfig()
GRANT = {"amountMicro": 5_000_000, "reason": "invoice 7"}


async def balance(client: Client) -> Any:
    got = await client.get("/credits")
    assert got.status == 200
    return got.body


async def error_micro(world: World, organization_id: UUID) -> int:
    """By how much the ledger is wrong."""
    async with await psycopg.AsyncConnection.connect(world.owner_url) as connection:
        return await ledger_error.error_micro(connection, organization_id)


def used(log: SessionLog, seq: int, quantity: float, **other: Any) -> Usage:
    fields: dict[str, Any] = {"stage": "session", "provider": "voicegate", "unit": "seconds"} | other
    return Usage(session_id=log.record.id, seq=seq, at=at(seq), quantity=quantity, **fields)


def ended(log: SessionLog, seq: int) -> SessionEnded:
    return SessionEnded(session_id=log.record.id, seq=seq, at=at(seq), reason="client")


async def the_hold(client: Client, session_id: str, state: str = "") -> Any:
    async def ask() -> Any:
        items = (await client.get("/credits/holds?limit=100")).body["items"]
        return next((each for each in items if each["sessionId"] == session_id and state in ("", each["state"])), None)

    return await until(ask)


async def a_session(world: World, agent: str) -> Mapping[str, Any]:
    got = await world.user().post(f"/agents/{agent}/sessions")
    assert got.status == 201, got.data
    made: Mapping[str, Any] = got.body
    return made


async def test_a_grant_comes_in_once(world: World) -> None:
    before = await balance(world.user())
    key = {"Idempotency-Key": uuid4().hex}
    first = await world.user("billing").post("/credits/grants", GRANT, headers=key)
    again = await world.user("billing").post("/credits/grants", GRANT, headers=key)
    assert (first.status, again.status, again.headers["Idempotency-Replayed"]) == (201, 201, "true")
    assert again.body == first.body
    after = await balance(world.user())
    assert after["availableMicro"] == before["availableMicro"] + 5_000_000
    assert after["grantedMicro"] == before["grantedMicro"] + 5_000_000
    newest = (await world.user().get("/credits/transactions?limit=1")).body["items"][0]
    assert (newest["id"], newest["kind"], newest["reason"]) == (first.body["transactionId"], "grant", "invoice 7")
    amounts = {entry["account"]: entry["amountMicro"] for entry in newest["entries"]}
    assert amounts == {"granted": -5_000_000, "available": 5_000_000}
    assert await error_micro(world, world.ours.id) == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amountMicro": 0},
        {"amountMicro": -1},
        {"amountMicro": 1.5},
        {"amountMicro": 10**16},
        {"amountMicro": 1, "x": 1},
    ],
)
async def test_what_is_no_grant_is_refused(world: World, body: object) -> None:
    got = await world.user().post("/credits/grants", body)
    assert (got.status, got.code) == (422, "invalid")


async def test_more_than_can_be_counted_is_refused(world: World) -> None:
    assert (await world.user().post("/credits/grants", {"amountMicro": 10**15})).status == 409


async def test_a_session_holds_credits_and_a_call_is_charged_once(world: World) -> None:
    agent = await a_published_agent(world)
    before = await balance(world.user())
    session_id = (await a_session(world, agent))["sessionId"]
    held = await balance(world.user())
    assert held["heldMicro"] - before["heldMicro"] == CONFIG.hold_micro
    assert before["availableMicro"] - held["availableMicro"] == CONFIG.hold_micro
    budget = await BudgetShelf(world.parts.redis, 60).take(session_id)
    assert budget is not None
    assert (budget.limit_micro, budget.organization_id) == (CONFIG.hold_micro, str(world.ours.id))
    async with calling(world, agent, SessionId(session_id)) as log:
        log.emit(started(log))
        log.emit(used(log, 2, 10.0))
        log.emit(used(log, 3, 123, stage="tts", provider="flite", unit="characters"))
        hold = await the_hold(world.user(), session_id)
        assert hold["state"] == "open"

        async def booked() -> bool:
            return bool((await the_hold(world.user(), session_id))["usedMicro"] == 10_000 + 123 * 150)

        await until(booked)
        log.emit(ended(log, 4))
    hold = await the_hold(world.user(), session_id, "settled")
    assert hold["heldMicro"] == hold["usedMicro"] == 28_450
    after = await balance(world.user())
    assert after["heldMicro"] == before["heldMicro"]
    assert after["usedMicro"] == before["usedMicro"] + 28_450
    assert after["availableMicro"] == before["availableMicro"] - 28_450
    rows = (await world.user().get("/credits/usage?by=provider")).body["items"]
    voice = next(row for row in rows if row["provider"] == "flite")
    assert (voice["stage"], voice["quantity"], voice["costMicro"]) == ("tts", 123.0, 18_450)
    assert (await world.user().get("/credits/usage?by=agent")).body["items"][0]["agentId"]
    assert await error_micro(world, world.ours.id) == 0


async def test_a_call_without_a_session_gets_its_hold_at_the_first_event(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        log.emit(started(log))
        hold = await the_hold(world.user(), log.record.id, "open")
        assert (hold["heldMicro"], hold["beganAt"] is not None) == (CONFIG.hold_micro, True)
        log.emit(ended(log, 2))
    await the_hold(world.user(), log.record.id, "settled")


async def test_a_call_to_nobodys_agent_is_free(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, "someone") as free, calling(world, agent) as paid:
        free.emit(started(free))
        free.emit(used(free, 2, 5))
        paid.emit(started(paid))
        await the_hold(world.user(), paid.record.id)
        paid.emit(ended(paid, 2))
    items = (await world.user().get("/credits/holds?limit=100")).body["items"]
    assert free.record.id not in {each["sessionId"] for each in items}


async def test_a_session_id_that_is_used_again_gets_a_hold_for_each_call(world: World) -> None:
    agent, name = await a_published_agent(world), SessionId(uuid4().hex)
    for number in (1, 2):
        async with calling(world, agent, name) as log:
            log.emit(started(log))
            log.emit(used(log, 2, 1))
            log.emit(ended(log, 3))

        async def settled(wanted: int = number) -> bool:
            items = (await world.user().get("/credits/holds?limit=100")).body["items"]
            mine = [each for each in items if each["sessionId"] == name]
            return [each["state"] for each in mine] == ["settled"] * wanted

        await until(settled)
    assert await error_micro(world, world.ours.id) == 0


async def test_without_credits_no_session_is_made(world: World) -> None:
    poor = replace(world.parts.config.credits, least_micro=10**18)
    owner = world.user()
    agent = await a_published_agent(world)
    before = await balance(owner)
    object.__setattr__(world.parts.config, "credits", poor)
    try:
        got = await owner.post(f"/agents/{agent}/sessions")
    finally:
        object.__setattr__(world.parts.config, "credits", CONFIG)
    assert (got.status, got.code) == (402, "insufficient_credits")
    assert (await balance(owner))["heldMicro"] == before["heldMicro"]


async def test_a_session_that_was_never_called_gives_its_hold_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By evidence: the token has expired, was not spent, and there is no call."""
    monkeypatch.setattr(orphans, "SURE_S", 0.3)
    session_id = (await a_session(world, await a_published_agent(world)))["sessionId"]
    clock = SystemClock()
    shelf = BudgetShelf(world.parts.redis, 60)

    async def look(**passed: float) -> None:
        late = Orphans(world.parts.database, shelf, _Later(timedelta(**passed)), lease_s=10)
        async with asyncio.timeout(5):  # it is looked twice, by whatever process
            for _ in range(5):
                await world.parts.bookkeeper.tell(await late.free())
                await asyncio.sleep(0.1)

    await look(seconds=63)
    assert (await the_hold(world.user(), session_id))["state"] == "open", "its token may be good for another clock"
    notes = SharedNotes(world.parts.redis, clock)
    assert await notes.spend(token_id(session_id), int(clock.utc().timestamp()) + 60)
    await look(seconds=66)
    assert (await the_hold(world.user(), session_id))["state"] == "open", "somebody stands at the door"
    await world.parts.redis.delete(f"voicegate:spent:{token_id(session_id)}")
    await look(seconds=66)
    hold = await the_hold(world.user(), session_id)
    assert (hold["state"], hold["heldMicro"]) == ("released", 0)
    assert await shelf.take(session_id) is None
    assert await error_micro(world, world.ours.id) == 0


async def test_a_call_whose_lease_died_gives_its_hold_back_and_may_go_on(world: World) -> None:
    agent = await a_published_agent(world)
    async with calling(world, agent) as log:
        log.emit(started(log))
        log.emit(used(log, 2, 1))
        await the_hold(world.user(), log.record.id, "open")
        log._owner._leases.drop(log.lease)  # type: ignore[attr-defined]
        await world.parts.redis.delete(session_keys(log.record.id).lease)
        await the_hold(world.user(), log.record.id, "released")
        assert await error_micro(world, world.ours.id) == 0
        log.emit(used(log, 3, 1))
        hold = await the_hold(world.user(), log.record.id, "open")
        assert hold["heldMicro"] >= CONFIG.hold_micro
        log.emit(ended(log, 4))
    assert (await the_hold(world.user(), log.record.id, "settled"))["usedMicro"] == 2_000
    assert await error_micro(world, world.ours.id) == 0


async def test_the_database_itself_refuses_what_cannot_be(world: World) -> None:
    async with await psycopg.AsyncConnection.connect(world.owner_url) as connection:
        with pytest.raises(CheckViolation):
            await connection.execute("UPDATE ledger_accounts SET balance_micro = -1 WHERE kind = 'available'")
    one_sided = (
        "INSERT INTO ledger_entries (organization_id, transfer_id, account_id, amount_micro)"
        " SELECT organization_id, transfer_id, account_id, 1 FROM ledger_entries LIMIT 1"
    )
    with pytest.raises(IntegrityError, match="add up to nothing"):
        async with world.parts.database.organization(world.ours.id) as session:
            await session.execute(text(one_sided))
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with world.parts.database.system() as session:
            await session.execute(text("UPDATE ledger_entries SET amount_micro = 1"))


async def test_an_estimate_shows_the_prices(world: World) -> None:
    got = (
        await world.user().post(
            "/credits/estimate",
            {"seconds": 60, "speechSeconds": 10, "characters": 100, "inputTokens": 0, "outputTokens": 0},
        )
    ).body
    assert got["costMicro"] == 60 * 1_000 + 10 * 2_000 + 100 * 150
    assert got["prices"] == dict(CONFIG.prices)
    assert sum(line["costMicro"] for line in got["lines"]) == got["costMicro"]
    assert (await world.user().post("/credits/estimate", {"seconds": -1})).status == 422


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-02-01&until=2026-01-01",
        "since=2020-01-01&until=2026-01-01",
        "by=colour",
        "since=x",
        "until=0001-01-02",
        "since=0001-01-01",
    ],
)
async def test_a_period_that_is_none_is_refused(world: World, query: str) -> None:
    assert (await world.user().get(f"/credits/usage?{query}")).status == 422


class _Later(SystemClock):
    """The clock of somebody who looks later."""

    def __init__(self, passed: timedelta, monotonic_s: float = 0.0) -> None:
        super().__init__()
        self._passed, self._more_s = passed, monotonic_s

    def utc(self) -> Any:
        return super().utc() + self._passed

    def monotonic(self) -> float:
        return super().monotonic() + self._more_s
