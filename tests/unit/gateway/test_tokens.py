"""Tokens: good ones, and every way to be none."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import Claims, SpentHere, TokenVerifier, sign
from voicegate.kernel.errors import ConfigError, RefusedCall

SECRET, OLD_SECRET, KEY = "the-signing-secret", "the-secret-before", "a-static-api-key"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
SOON = int(NOW.timestamp()) + 60


class StandingClock:
    def __init__(self) -> None:
        self.now = NOW

    def monotonic(self) -> float:
        return 0.0

    def utc(self) -> datetime:
        return self.now


def verifier() -> TokenVerifier:
    return TokenVerifier(StandingClock(), secrets=(SECRET, OLD_SECRET), keys=(KEY, "another-static-key"))


def code(token: str, session: str = "s1") -> str:
    with pytest.raises(RefusedCall) as refused:
        verifier().verify(token, session)
    assert token[:20] not in str(refused.value)
    return refused.value.code


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(claims: bytes, *, version: str = "vg1", secret: str = SECRET) -> str:
    body = f"{version}.{text(claims)}"
    return f"{body}.{text(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
@pytest.mark.parametrize("session", ["s1", "*"])
def test_good(secret: str, session: str) -> None:
    claims = Claims(session, SOON, agent="ada", token_id="t")
    assert verifier().verify(sign(secret, claims), "s1") == claims


def test_the_format_is_the_documented_one() -> None:
    claims = {"session": "s1", "expires": SOON}
    assert sign(SECRET, Claims("s1", SOON)) == forge(json.dumps(claims, separators=(",", ":")).encode())


def test_an_api_key_is_good_for_any_session() -> None:
    assert verifier().verify(KEY, "s7").session == "s7"


def test_expired() -> None:
    assert code(sign(SECRET, Claims("s1", int(NOW.timestamp())))) == "unauthorized"


def test_another_session() -> None:
    assert code(sign(SECRET, Claims("s2", SOON))) == "forbidden"


FORGED = {
    "empty": "",
    "words": "let me in",
    "dots": "..",
    "other secret": forge(b'{"session":"*","expires":9999999999}', secret="guessed-guessed-guessed"),
    "empty secret": forge(b'{"session":"*","expires":9999999999}', secret=""),
    "no signature": forge(b'{"session":"*","expires":9999999999}').rpartition(".")[0] + ".",
    "other version": forge(b'{"session":"*","expires":9999999999}', version="vg0"),
    "claims no json": forge(b"xyz"),
    "claims no object": forge(b"[]"),
    "no expiry": forge(b'{"session":"*"}'),
    "expiry as text": forge(b'{"session":"*","expires":"9999999999"}'),
    "unknown claim": forge(b'{"session":"*","expires":9999999999,"admin":true}'),
    "not ascii": "vg1.\u00e4.\u00f6",
    "huge": "vg1." + "A" * 3000 + ".A",
    "part of a key": KEY[:-1],
    "key and more": KEY + "x",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_forged(token: str) -> None:
    with pytest.raises(RefusedCall) as refused:
        verifier().verify(token, "s1")
    assert refused.value.code == "unauthorized"


def test_a_changed_claim_breaks_the_signature() -> None:
    head, claims, signature = sign(SECRET, Claims("s2", SOON)).split(".")
    mine = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).replace(b"s2", b"s1")
    assert code(f"{head}.{text(mine)}.{signature}") == "unauthorized"


@given(st.text(max_size=100))
def test_no_text_gets_in_or_breaks_the_verifier(token: str) -> None:
    with pytest.raises(RefusedCall):
        verifier().verify(token, "s1")


@pytest.mark.parametrize("settings", [{"secrets": ("short",)}, {"keys": ("short",)}])
def test_weak_secrets_are_refused_at_the_start(settings: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ConfigError):
        TokenVerifier(StandingClock(), **settings)


async def test_a_single_use_token_is_good_once() -> None:
    spent = SpentHere(StandingClock())
    assert await spent.spend("a", SOON)
    assert not await spent.spend("a", SOON)
    assert await spent.spend("b", SOON)


async def test_a_full_memory_refuses_rather_than_forgets() -> None:
    clock = StandingClock()
    spent = SpentHere(clock, capacity=2)
    assert await spent.spend("a", SOON)
    assert await spent.spend("b", SOON)
    assert not await spent.spend("c", SOON)
    assert not await spent.spend("a", SOON)
    clock.now += timedelta(minutes=5)
    assert await spent.spend("c", SOON + 600)
