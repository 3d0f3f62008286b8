"""By how much a ledger is wrong, in micro-credits: 0 or it is not a ledger."""

from typing import Any
from uuid import UUID

import psycopg

_ERROR = """
WITH entries AS (SELECT * FROM ledger_entries WHERE organization_id = %(organization)s),
accounts AS (SELECT * FROM ledger_accounts WHERE organization_id = %(organization)s),
holds AS (SELECT * FROM credit_holds WHERE organization_id = %(organization)s),
used AS (SELECT hold_id, sum(cost_micro) AS micro FROM hold_usage WHERE organization_id = %(organization)s GROUP BY 1),
sums AS (SELECT account_id, sum(amount_micro) AS micro FROM entries GROUP BY 1)
SELECT
  -- transfers that do not add up to nothing
  coalesce((SELECT sum(abs(micro)) FROM (SELECT sum(amount_micro) AS micro FROM entries GROUP BY transfer_id) AS t), 0)
  -- balances that are not the sum of their entries
  + coalesce((SELECT sum(abs(balance_micro - coalesce(micro, 0))) FROM accounts LEFT JOIN sums ON account_id = id), 0)
  -- holds that have used something else than their usage
  + coalesce((SELECT sum(abs(used_micro - coalesce(micro, 0))) FROM holds LEFT JOIN used ON hold_id = id), 0)
  -- what holds have left is what is held
  + abs(coalesce((SELECT sum(held_micro - used_micro) FROM holds), 0)
      - coalesce((SELECT balance_micro FROM accounts WHERE kind = 'held'), 0))
  -- what was used is what was spent
  + abs(coalesce((SELECT sum(micro) FROM used), 0)
      - coalesce((SELECT balance_micro FROM accounts WHERE kind = 'spent'), 0))
  -- the days' sums
  + abs(coalesce((SELECT sum(micro) FROM used), 0)
      - coalesce((SELECT sum(cost_micro) FROM usage_days WHERE organization_id = %(organization)s), 0))
  -- closed holds that keep something, and holds that were settled twice
  + coalesce((SELECT sum(held_micro - used_micro) FROM holds WHERE state <> 'open'), 0)
  + (SELECT count(*) FROM (SELECT hold_id FROM ledger_transfers WHERE organization_id = %(organization)s
      AND kind = 'settle' GROUP BY hold_id HAVING count(*) > 1) AS twice)
"""


async def error_micro(connection: psycopg.AsyncConnection[Any], organization_id: UUID) -> int:
    """Everything that does not fit, added up without signs. One statement sees one state of the database."""
    rows = await connection.execute(_ERROR.encode(), {"organization": organization_id})
    row = await rows.fetchone()
    assert row is not None
    return int(row[0])
