"""How long each kind of SQL statement takes, until its rows are there: ``voicegate_api_statement_seconds``."""

import re
from typing import Any

from sqlalchemy import Connection, Engine, event

from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Telemetry

_KIND = re.compile(r"\s*(?P<verb>\w+)\b.*?(?:\b(?:FROM|INTO|UPDATE)\s+(?P<table>[a-z_]+)|$)", re.DOTALL)
_STARTED = "voicegate_started_s"


def statement_kind(statement: str) -> str:
    """``select conversations``: what is done with the first table that it names. There are few of these."""
    found = _KIND.match(statement)
    if found is None:
        return "other"
    updated = re.match(r"\s*UPDATE\s+([a-z_]+)", statement)
    table = updated[1] if updated else found["table"]
    return f"{found['verb'].lower()} {table}" if table else found["verb"].lower()


def time_statements(engine: Engine, clock: Clock, telemetry: Telemetry) -> None:
    """Time all of the engine's statements from now on."""

    def before(_: Connection, __: Any, ___: str, ____: Any, context: Any, *_more: Any) -> None:
        if context is not None:
            setattr(context, _STARTED, clock.monotonic())

    def after(_: Connection, __: Any, statement: str, ____: Any, context: Any, *_more: Any) -> None:
        started_s = getattr(context, _STARTED, None)
        if started_s is not None:
            telemetry.histogram(
                "voicegate_api_statement_seconds", "SQL statements.", statement=statement_kind(statement)
            ).observe(clock.monotonic() - started_s)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
