"""Names of kinds of statements."""

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, text

from control_api.db.statements import statement_kind, time_statements
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.observability.prometheus import PrometheusTelemetry


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT a.id, b.x \nFROM agents AS a JOIN b ON true", "select agents"),
        ("INSERT INTO audit_log (id) VALUES (1)", "insert audit_log"),
        ("UPDATE agents SET name = 'FROM elsewhere'", "update agents"),
        ("DELETE FROM api_keys WHERE id = 1", "delete api_keys"),
        ("SELECT set_config('role', 'x', true)", "select"),
        ("", "other"),
    ],
)
def test_a_statement_is_named_for_what_it_does(statement: str, kind: str) -> None:
    assert statement_kind(statement) == kind


def test_each_statement_is_timed_by_its_kind() -> None:
    registry, engine = CollectorRegistry(), create_engine("sqlite://")
    time_statements(engine, SystemClock(), PrometheusTelemetry(registry))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE calls (id int)"))
        connection.execute(text("SELECT id FROM calls"))
        connection.execute(text("SELECT id FROM calls"))
    engine.dispose()
    labels = {"statement": "select calls"}
    assert registry.get_sample_value("voicegate_api_statement_seconds_count", labels) == 2
