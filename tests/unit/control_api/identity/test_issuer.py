"""Tokens of our own issuer: a signature is verified once, everything else each time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from joserfc.jwk import ECKey

from control_api.identity.caller import User
from control_api.identity.issuer import Issuer, IssuerConfig
from control_api.problems import Problem


@dataclass
class Hands:
    """A clock that is set by hand."""

    now: datetime = datetime(2027, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.now.timestamp()

    def utc(self) -> datetime:
        return self.now


USER = User(uuid4(), "a@example.com", uuid4(), "owner")


def test_a_token_that_was_good_is_refused_when_its_time_is_over() -> None:
    clock = Hands()
    issuer = Issuer(IssuerConfig(access_s=900), ECKey.generate_key("P-256"), clock)
    token = issuer.access_token(USER, uuid4())
    assert [issuer.read_access(token)["sub"] for _ in range(2)] == [str(USER.id)] * 2
    clock.now += timedelta(hours=1)
    with pytest.raises(Problem):
        issuer.read_access(token)


def test_a_token_that_was_good_for_one_thing_is_not_for_another() -> None:
    issuer = Issuer(IssuerConfig(), ECKey.generate_key("P-256"), Hands())
    token = issuer.access_token(USER, uuid4())
    issuer.read_access(token)
    with pytest.raises(Problem):
        issuer.read_refresh(token)


def test_whoever_gets_the_claims_may_keep_them() -> None:
    issuer = Issuer(IssuerConfig(), ECKey.generate_key("P-256"), Hands())
    token = issuer.access_token(USER, uuid4())
    issuer.read_access(token)["sub"] = "somebody else"
    assert issuer.read_access(token)["sub"] == str(USER.id)


@pytest.mark.parametrize("changed", ["signature", "claims", "surrogate"])
def test_a_changed_token_is_another_token(changed: str) -> None:
    issuer = Issuer(IssuerConfig(), ECKey.generate_key("P-256"), Hands())
    good = issuer.access_token(USER, uuid4())
    issuer.read_access(good)
    head, claims, signature = good.split(".")
    flipped = "A" if signature[4] != "A" else "B"
    bad = {
        "signature": f"{head}.{claims}.{signature[:4]}{flipped}{signature[5:]}",
        "claims": f"{head}.{claims[:-4]}AAAA.{signature}",
        "surrogate": good + "\ud800",
    }[changed]
    with pytest.raises(Problem):
        issuer.read_access(bad)
