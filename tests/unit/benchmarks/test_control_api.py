"""What the control API's benchmark asks, and how it reads what it measured."""

from uuid import UUID

from benchmarks.control_api import Statement, _gaps, _statement
from benchmarks.control_load import Operation, Target, address, reads, writes
from benchmarks.filled_database import Filled

INFINITY = float("inf")
ROWS = {"agents": 2_000, "conversations": 100, "api_keys": 50, "agent_runs": 50, "credit_holds": 100}
TARGET = Target("http://x", "token", UUID(int=7), Filled(ROWS), "agent-1", "a@b", "password")


def test_every_read_is_asked_with_each_of_its_choices() -> None:
    choice = {"in": "query", "name": "status", "schema": {"anyOf": [{"enum": ["active", "ended"]}, {"type": "null"}]}}
    json: dict[str, object] = {"200": {"content": {"application/json": {}}}}
    contract = {
        "paths": {
            "/calls": {
                "get": {"operationId": "calls.list", "responses": json, "parameters": [choice]},
                "post": {"operationId": "calls.create", "responses": json},
            },
            "/live": {"get": {"operationId": "live", "responses": {"200": {"content": {"text/event-stream": {}}}}}},
        }
    }
    assert reads(contract) == [Operation("GET", "/calls", "calls.list", ("", "?status=active", "?status=ended"))]


def test_paths_name_rows_of_ours() -> None:
    path = "/organizations/{organizationId}/conversations/{conversationId}"
    ours = {f"/organizations/{TARGET.organization}/conversations/{TARGET.filled.id_of('conversations', number)}"
            for number in range(1, 101) if number % 5}  # fmt: skip
    asked = {address(Operation("GET", path, "x"), TARGET, number) for number in range(1, 200)}
    assert asked <= ours
    assert len(asked) > 20, "and not always the same"
    assert address(Operation("GET", "/planets/{planetId}", "x"), TARGET, 1) is None
    assert all(address(each, TARGET, 1) for each in writes(TARGET) if "handoff" not in each.path)


def test_a_statement_is_judged_by_the_bucket_that_holds_its_p95() -> None:
    before = {0.005: 10.0, 0.02: 10.0, INFINITY: 10.0, -1.0: 0.5}
    after = {0.005: 104.0, 0.02: 109.0, INFINITY: 110.0, -1.0: 0.7}
    assert _statement("select calls", before, after) == Statement("select calls", 100, 2.0, 20.0)
    assert _statement("select calls", after, after) is None


def test_gaps_are_those_of_all_callers() -> None:
    first = {"turns": [{"arrivals": [0.0, 0.02, 0.09]}, {"arrivals": []}], "failures": []}
    second = {"turns": [{"arrivals": [1.0, 1.02]}], "failures": ["refused"]}
    found = _gaps([first, second])
    assert (found.replies, found.longest_ms, found.above_goal, found.failures) == (2, 70.0, 1, ["refused"])
