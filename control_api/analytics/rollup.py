"""Adds calls to the sums of their organisations, in the transaction that keeps their conversations.

**Why the sums are exact.** Whatever happens, ``analytics_sums`` is the sum of ``analytics_calls.amounts`` over all
calls, because nothing writes either but :func:`roll_up`, which puts a call's new amounts into the one and their
difference to the old ones into the other, in one transaction:

* A consumer that reads a call again from its start folds the same events, so it has the same amounts: the difference is
  nothing.
* Two consumers of one call take turns: :func:`~control_api.conversations.keeping.keep` has locked the conversation's
  row before, and what we read after that is what the other one committed.
* A consumer that lags behind is not heard: ``keep`` names only the calls whose row it wrote, and it does not write what
  is older than the row. So the amounts always are those of the same moment as the conversation.
* A death before the commit leaves both tables as they were.
* A call that was taken for lost and goes on, or that ends twice, takes its former end away again: differences may be
  negative.

To which agent and version a call counts, is settled when it is first written. Where Redis has forgotten the beginning
of a very long call, somebody who begins to read it leaves its turns as they were noted. A call's cost is what the
ledger has booked for it, which is exact by the ledger's own means.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.analytics.tally import ENDED, NOTICES, Amounts, Slot, difference, moment_of, packed, unpacked
from control_api.conversations.keeping import Kept
from control_api.db.models.analytics import AnalyticsCall
from control_api.notifications.facts import note

NOBODY = UUID(int=0)
"""Stands for the agent where no published one had the call."""
_HOURS_PER_DAY = 24

_BEFORE = text("""
SELECT c.id, a.agent_id, a.agent_version, a.amounts, coalesce(h.used_micro, 0) AS cost_micro
FROM conversations c
LEFT JOIN analytics_calls a ON a.conversation_id = c.id
LEFT JOIN credit_holds h
  ON h.session_id = c.session_id AND h.began_at = c.started_at AND h.organization_id = c.organization_id
WHERE c.id = ANY(CAST(:ids AS uuid[]))
""")
_NAMES = ("organization_id", "period", "measure", "at", "agent_id", "agent_version", "key", "amount")
_ADD = text("""
INSERT INTO analytics_sums AS sums (organization_id, period, measure, at, agent_id, agent_version, key, amount)
SELECT * FROM unnest(
  CAST(:organization_id AS uuid[]), CAST(CAST(:period AS text[]) AS sum_period[]), CAST(:measure AS text[]),
  CAST(:at AS timestamptz[]), CAST(:agent_id AS uuid[]), CAST(:agent_version AS int[]), CAST(:key AS text[]),
  CAST(:amount AS bigint[]))
ON CONFLICT (organization_id, period, measure, at, agent_id, agent_version, key)
DO UPDATE SET amount = sums.amount + excluded.amount
""")

_Sums = dict[tuple[Any, ...], int]


async def roll_up(session: AsyncSession, calls: Sequence[Kept], ids: Mapping[str, UUID]) -> int:
    """Bring the sums to where these calls are. ``ids``: conversations by session id, of those that were written.

    Returns how many notifications it noted in the outbox: beginnings, ends, and notices of calls.
    """
    written = {ids[call.session_id]: call for call in calls if call.session_id in ids}
    if not written:
        return 0
    sums: _Sums = {}
    rows: list[dict[str, Any]] = []
    noted = 0
    for row in await session.execute(_BEFORE, {"ids": sorted(written)}):
        call = written[row.id]
        before = unpacked(row.amounts or {})
        now = _amounts(call, row.cost_micro, before)
        changes = difference(now, before)
        if not changes:
            continue
        agent_id, version = _agent(call) if row.agent_id is None else (row.agent_id, row.agent_version)
        _count(sums, (call.belongs.organization_id, agent_id, version), changes)
        rows.append(
            {
                "conversation_id": row.id,
                "organization_id": call.belongs.organization_id,
                "agent_id": agent_id,
                "agent_version": version,
                "amounts": packed(now),
            }
        )
        noted += _announce(session, row.id, call, changes, is_new=row.amounts is None)
    if rows:
        await _write(session, rows, sums)
    return noted


def _amounts(call: Kept, cost_micro: int, before: Amounts) -> dict[Slot, int]:
    story = call.story
    return call.tally.amounts(call.created_at, story.ended_at, story.ended_reason, cost_micro, before)


def _agent(call: Kept) -> tuple[UUID, int]:
    return call.belongs.agent_id or NOBODY, call.belongs.agent_version or 0


def _count(sums: _Sums, of: tuple[UUID, UUID, int], changes: Amounts) -> None:
    organization_id, agent_id, version = of
    for slot, change in changes.items():
        day = slot.hour // _HOURS_PER_DAY * _HOURS_PER_DAY
        for period, hour in (("hour", slot.hour), ("day", day)):
            name = (organization_id, period, slot.measure, moment_of(hour), agent_id, version, slot.key)
            sums[name] = sums.get(name, 0) + change


async def _write(session: AsyncSession, rows: list[dict[str, Any]], sums: _Sums) -> None:
    statement = insert(AnalyticsCall)
    upsert = statement.on_conflict_do_update(
        index_elements=[AnalyticsCall.conversation_id], set_={"amounts": statement.excluded.amounts}
    )
    await session.execute(upsert, rows)
    # In one order everywhere: two that add to the same sums wait for each other, and never in a circle.
    changed = sorted(name for name, amount in sums.items() if amount)
    if changed:
        columns = zip(*((*name, sums[name]) for name in changed), strict=True)
        await session.execute(_ADD, {name: list(column) for name, column in zip(_NAMES, columns, strict=True)})


def _announce(session: AsyncSession, conversation_id: UUID, call: Kept, changes: Amounts, *, is_new: bool) -> int:
    organization_id, story = call.belongs.organization_id, call.story
    about = {"conversationId": str(conversation_id), "sessionId": call.session_id}
    facts: list[tuple[str, dict[str, Any]]] = []
    if is_new:
        agent = str(call.belongs.agent_id) if call.belongs.agent_id else None
        facts.append(("conversation.started", {**about, "agentId": agent}))
    for slot, change in sorted(changes.items()):
        if slot.measure == NOTICES and change > 0:
            facts.append(("conversation.notice", {**about, "code": slot.key}))
        if slot.measure == ENDED and change > 0:
            facts.append(("conversation.ended", {**about, "status": story.status, "reason": slot.key}))
    for kind, data in facts:
        note(session, organization_id, kind, data)
    return len(facts)
