"""Admission as a table: a knock, and what becomes of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog.testing

from gateway.admission import Admission, AdmissionConfig, Knock, Pass, presented_token
from gateway.config import GatewayConfig
from gateway.tokens import Claims, SpentHere, TokenVerifier, sign
from voicegate.kernel.errors import ConfigError, RefusedCall
from voicegate.kernel.telemetry import NoTelemetry

SECRET = "the-signing-secret"
SOON = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp()) + 60


class StandingClock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC)


class Readiness:
    refusal: RefusedCall | None = None

    async def __call__(self) -> None:
        if self.refusal:
            raise self.refusal


def admission(
    ready: Readiness | None = None,
    full: Callable[[str], bool] = lambda _: False,
    clock: StandingClock | None = None,
    **config: Any,
) -> Admission:
    clock = clock or StandingClock()
    return Admission(
        AdmissionConfig(**config),
        tokens=TokenVerifier(clock, secrets=(SECRET,)),
        spent=SpentHere(clock),
        ready=ready or Readiness(),
        full=full,
        clock=clock,
        telemetry=NoTelemetry(),
    )


def knock(**fields: Any) -> Knock:
    return Knock(**{"session_id": "s1", "peer": "127.0.0.1", "host": "localhost:8000", **fields})


def bearer(session: str = "s1", agent: str = "", token_id: str = "") -> str:
    return "Bearer " + sign(SECRET, Claims(session, SOON, agent, token_id))


TAKEN: list[tuple[dict[str, Any], dict[str, Any], Pass]] = [
    ({}, {}, Pass("s1", anonymous=True)),
    ({"host": "::1"}, {"peer": "::1", "host": "[::1]:8000"}, Pass("s1", anonymous=True)),
    ({"host": "0.0.0.0"}, {"authorization": bearer(agent="ada")}, Pass("s1", "ada")),
    ({"host": "0.0.0.0"}, {"authorization": bearer("*").replace("Bearer", "bearer")}, Pass("s1")),
    ({"host": "0.0.0.0"}, {"subprotocols": ("voice.v1", "voicegate.token." + bearer()[7:])}, Pass("s1")),
    ({}, {"authorization": bearer(), "origin": "https://evil.example"}, Pass("s1")),
    ({"host": "0.0.0.0", "anonymous": True}, {"peer": "203.0.113.7", "host": "v.example"}, Pass("s1", anonymous=True)),
]


@pytest.mark.parametrize(("config", "fields", "granted"), TAKEN)
async def test_taken(config: dict[str, Any], fields: dict[str, Any], granted: Pass) -> None:
    assert await admission(**config).admit(knock(**fields)) == granted


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"session_id": ""}, "bad_session_id"),
    ({}, {"session_id": "s1\n"}, "bad_session_id"),
    ({}, {"session_id": "\u0661"}, "bad_session_id"),
    ({}, {"query_names": ("x", "API_KEY")}, "token_in_query"),
    ({}, {"authorization": bearer(), "query_names": ("token",)}, "token_in_query"),
    ({}, {"authorization": "Bearer"}, "unauthorized"),
    ({}, {"authorization": ""}, "unauthorized"),
    ({}, {"subprotocols": ("voicegate.token.",)}, "unauthorized"),
    ({}, {"peer": "10.0.0.9"}, "foreign_client"),
    ({}, {"forwarding": (("X-Forwarded-For", "10.0.0.9"),)}, "foreign_client"),
    ({}, {"host": "evil.example"}, "foreign_client"),
    ({}, {"origin": "https://evil.example"}, "foreign_origin"),
    ({"host": "0.0.0.0"}, {}, "unauthorized"),
    ({"host": "192.0.2.1"}, {"authorization": bearer("s2")}, "forbidden"),
    ({"host": "0.0.0.0", "anonymous": True}, {"origin": "https://evil.example"}, "foreign_origin"),
]


@pytest.mark.parametrize(("config", "fields", "code"), REFUSED)
async def test_refused(config: dict[str, Any], fields: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusedCall) as refused:
        await admission(**config).admit(knock(**fields))
    assert refused.value.code == code


async def test_a_single_use_token_is_not_burned_by_another_refusal() -> None:
    ready = Readiness()
    ready.refusal = RefusedCall("state_unavailable", "away")
    door = admission(ready, host="0.0.0.0", max_connections=1)
    once = knock(authorization=bearer(token_id="t"))
    with pytest.raises(RefusedCall) as refused:
        await door.admit(once)
    assert refused.value.code == "state_unavailable"
    ready.refusal = None
    with door.seat(), pytest.raises(RefusedCall) as refused:
        await door.admit(once)
    assert refused.value.code == "busy"
    assert await door.admit(once) == Pass("s1")
    with pytest.raises(RefusedCall) as refused:
        await door.admit(once)
    assert refused.value.code == "token_used"


async def test_anonymous_callers_wait_for_readiness_too() -> None:
    ready = Readiness()
    ready.refusal = RefusedCall("not_ready", "away")
    with pytest.raises(RefusedCall):
        await admission(ready).admit(knock())


async def test_a_peer_that_knocks_too_often_is_told_when_to_return() -> None:
    door = admission(connections_per_s=2.0, connection_burst=1.0)
    await door.admit(knock())
    with pytest.raises(RefusedCall) as refused:
        await door.admit(knock())
    assert refused.value.code == "too_many_connections"
    assert refused.value.retry_after_s == pytest.approx(0.5)
    await door.admit(knock(peer="::1"))


def test_seats_are_given_back_also_after_errors() -> None:
    door = admission(max_connections=1)
    with pytest.raises(ZeroDivisionError), door.seat():
        raise ZeroDivisionError
    with door.seat(), pytest.raises(RefusedCall), door.seat():
        pytest.fail("two seats of one")
    with door.seat():
        pass


async def test_a_loaded_process_takes_no_new_call_but_those_it_has() -> None:
    door = admission(full=lambda session_id: session_id != "s1")
    assert (await door.admit(knock())).session_id == "s1"
    with pytest.raises(RefusedCall) as refused:
        await door.admit(knock(session_id="s2"))
    assert (refused.value.code, refused.value.retry_after_s) == ("busy", 5.0)


async def test_draining() -> None:
    door = admission()
    door.draining = True
    with pytest.raises(RefusedCall) as refused:
        await door.admit(knock())
    assert (refused.value.code, refused.value.retry_after_s) == ("draining", 1.0)


@pytest.mark.parametrize("known", [False, True])
async def test_a_line_that_any_process_can_go_on_with_is_no_burden_to_one_that_drains(known: bool) -> None:
    door = admission()
    door.draining = True
    with pytest.raises(RefusedCall) as refused:
        await door.admit_line(knock(), proven=True, guarded=True, known=known)
    assert refused.value.code == "draining"
    assert (await door.admit_line(knock(), proven=True, guarded=True, known=known, elsewhere=True)).vouched


async def test_what_a_carrier_signed_may_come_as_often_as_calls_do() -> None:
    door = admission(connections_per_s=2.0, connection_burst=1.0)
    for _ in range(5):
        await door.admit_line(knock(), proven=False, guarded=True, signed=True)
    await door.admit_line(knock(), proven=False, guarded=True)
    with pytest.raises(RefusedCall) as refused:
        await door.admit_line(knock(), proven=False, guarded=True)
    assert refused.value.code == "too_many_connections"


def test_the_header_wins_over_the_subprotocol() -> None:
    assert presented_token("Bearer  a ", ("voicegate.token.b",)) == "a"
    assert presented_token(None, ("voice.v1",)) is None


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"port": 70_000}])
def test_settings_that_cannot_work(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        GatewayConfig(**settings)


def test_secrets_do_not_show_in_the_settings() -> None:
    config = GatewayConfig(token_secrets=(SECRET,), api_keys=("key-key-key-key-key",))
    assert SECRET not in repr(config)
    assert "key-key" not in repr(config)


async def test_a_crowd_that_is_refused_costs_a_line_a_second() -> None:
    clock = StandingClock()
    gate = admission(full=lambda _: True, clock=clock, connection_burst=100.0)
    with structlog.testing.capture_logs() as logs:
        for clock.now in (0.0, 0.1, 0.9, 1.0, 1.5, 3.0):
            with pytest.raises(RefusedCall):
                await gate.admit(knock())
    assert [log["calls"] for log in logs] == [1, 3, 2]
