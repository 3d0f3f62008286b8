"""Calls as a file, page by page: as many calls as there are, in a memory of one page, with no connection kept while the
reader is slow."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import text

from control_api.analytics.period import Period
from control_api.db.database import Database

Format = Literal["csv", "ndjson"]
MEDIA: Final[Mapping[Format, str]] = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
PAGE: Final = 500
COLUMNS: Final = (
    "id",
    "startedAt",
    "endedAt",
    "status",
    "endedReason",
    "agentId",
    "agentVersion",
    "agentName",
    "transport",
    "turns",
    "interruptions",
    "errors",
    "meanVoiceToVoiceMs",
    "worstVoiceToVoiceMs",
    "costMicro",
    "tags",
)
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_PAGE = text("""
SELECT c.id, c.started_at, c.ended_at, c.status::text AS status, c.ended_reason, c.agent_id, c.agent_version,
  c.agent_name, c.transport, c.turns_count, c.interruptions, c.failures, c.tags, t.mean_ms, t.worst_ms, h.used_micro
FROM (
  SELECT * FROM conversations
  WHERE organization_id = :organization AND started_at < :until AND (started_at, id) > (:after_at, :after_id)
    AND (CAST(:agent AS uuid) IS NULL OR agent_id = :agent)
  ORDER BY started_at, id LIMIT :page
) c
LEFT JOIN LATERAL (
  SELECT avg(voice_to_voice_ms) AS mean_ms, max(voice_to_voice_ms) AS worst_ms
  FROM conversation_turns WHERE conversation_id = c.id
) t ON true
LEFT JOIN credit_holds h
  ON h.session_id = c.session_id AND h.began_at = c.started_at AND h.organization_id = c.organization_id
ORDER BY c.started_at, c.id
""")


class Export:
    """The calls that began in a period, oldest first."""

    def __init__(self, database: Database, organization_id: UUID, period: Period, agent_id: UUID | None) -> None:
        self._database, self._organization_id = database, organization_id
        self._values: dict[str, Any] = {
            "organization": organization_id,
            "until": period.end,
            "agent": agent_id,
            "page": PAGE,
        }
        self._after = period.begin, UUID(int=0)

    async def page(self) -> list[dict[str, Any]]:
        """The next page; the last one is not full.

        Raises:
            DatabaseAway: it cannot be read now.
        """
        at, row_id = self._after
        async with self._database.organization(self._organization_id) as session:
            found = await session.execute(_PAGE, {**self._values, "after_at": at, "after_id": row_id})
            rows = found.mappings().all()
        if rows:
            self._after = rows[-1]["started_at"], rows[-1]["id"]
        return [_row(row) for row in rows]


async def written(form: Format, first: list[dict[str, Any]], export: Export) -> AsyncIterator[bytes]:
    """The file. ``first`` is its first page, read before anything is answered, so that a failure still has a status."""
    page = first
    if form == "csv":
        yield as_csv([dict(zip(COLUMNS, COLUMNS, strict=True))])
    while page:
        yield as_csv(page) if form == "csv" else as_ndjson(page)
        page = await export.page() if len(page) == PAGE else []


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    """RFC 4180. Text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([[_cell(row[name]) for name in COLUMNS] for row in rows])
    return out.getvalue().encode()


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = ";".join(str(each) for each in value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) else value


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    values = (
        str(row["id"]),
        _moment(row["started_at"]),
        _moment(row["ended_at"]),
        row["status"],
        row["ended_reason"],
        str(row["agent_id"]) if row["agent_id"] else None,
        row["agent_version"],
        row["agent_name"],
        row["transport"],
        row["turns_count"],
        row["interruptions"],
        row["failures"],
        round(row["mean_ms"], 1) if row["mean_ms"] is not None else None,
        round(row["worst_ms"], 1) if row["worst_ms"] is not None else None,
        row["used_micro"],
        list(row["tags"] or []),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
