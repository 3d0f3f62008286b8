"""How PostgreSQL goes about each statement of the API.

It is asked just before the statement runs: in its transaction, with its role, its row-level security and its values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

from control_api.paging import MAX_LIMIT

_EXPLAINED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_READS_ONLY = re.compile(r"\s*SELECT\b", re.IGNORECASE)


@dataclass(slots=True)
class Plans:
    """What was found, by the operation that asked."""

    growing: frozenset[str]
    """Tables that nothing may read from end to end."""
    most_rows: int
    """A statement may read so many of one table."""
    in_bulk: frozenset[str] = frozenset()
    """Operations that read many rows on purpose, a part at a time: they must have indexes, though on as few rows as
    here the planner may do without."""
    operation: str = ""
    """Now called."""
    seen: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def explain(self, connection: Connection, statement: str, parameters: Any) -> None:
        """Ask, and note what is wrong. What only reads is run for it, so that the rows are those that it does read."""
        bulk = self.operation in self.in_bulk
        run = _READS_ONLY.match(statement) and not bulk
        options = "ANALYZE, TIMING OFF, FORMAT JSON" if run else "FORMAT JSON"
        cursor = connection.connection.cursor()
        try:
            cursor.execute(f"SET LOCAL enable_seqscan = {'off' if bulk else 'on'}")
            cursor.execute(f"EXPLAIN ({options}) {statement}", parameters)
            ((answer,),) = cursor.fetchall()
            cursor.execute("SET LOCAL enable_seqscan = on")
        finally:
            cursor.close()
        self.seen += 1
        for fault in self._faults(answer[0]["Plan"]):
            noted = self.faults.setdefault(self.operation, [])
            text = f"{fault}: {' '.join(statement.split())}"
            if text not in noted:
                noted.append(text)

    def _faults(self, node: dict[str, Any]) -> Iterator[str]:
        table = node.get("Relation Name")
        if table in self.growing:
            if "Seq Scan" in node["Node Type"] and not _a_few(node):
                yield f"reads all of {table}"
            elif (rows := _read(node)) > self.most_rows:
                yield f"reads {rows} rows of {table} by {node.get('Index Name', 'an index')}"
        for inner in node.get("Plans", ()):
            yield from self._faults(inner)


def _a_few(node: dict[str, Any]) -> bool:
    """Whether it takes the first rows that come, whichever they are: ``LIMIT`` without a condition."""
    return "Filter" not in node and 0 < float(node.get("Actual Rows", 0)) <= MAX_LIMIT


def _read(node: dict[str, Any]) -> int:
    kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return round(sum(float(node.get(kind, 0)) for kind in kinds) * float(node.get("Actual Loops", 0)))


@contextmanager
def watched(plans: Plans) -> Iterator[None]:
    """All statements of all engines, while entered."""
    watching = True

    def before(connection: Connection, _: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if watching and _EXPLAINED.match(statement):
            plans.explain(connection, statement, parameters[0] if isinstance(parameters, list) else parameters)

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        watching = False  # and not removed: some background statement may stand in the midst of its listeners
