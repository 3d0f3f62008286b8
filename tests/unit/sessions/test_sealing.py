"""Secrets that lie where others can read."""

import base64

import pytest

from sessions.sealing import SealBroken, Sealing
from voicegate.kernel.errors import ConfigError

TOKEN_SECRET = "a secret of the tests"


def test_what_was_sealed_is_opened_by_whoever_knows_the_token_secret() -> None:
    sealed = Sealing(TOKEN_SECRET).seal("o", "sesame")
    assert "sesame" not in sealed
    assert Sealing(TOKEN_SECRET).open("o", sealed) == "sesame"
    assert sealed != Sealing(TOKEN_SECRET).seal("o", "sesame"), "two that are alike do not look alike"


def test_not_by_another_secret_nor_for_another_organisation() -> None:
    sealed = Sealing(TOKEN_SECRET).seal("o", "sesame")
    for other, organization in ((Sealing("another secret"), "o"), (Sealing(TOKEN_SECRET), "p")):
        with pytest.raises(SealBroken):
            other.open(organization, sealed)


@pytest.mark.parametrize("cut", ["", "v1.", "v2.AAAA", "v1.AAAA", "v1.ä", "v1.A"])
def test_what_was_never_sealed(cut: str) -> None:
    with pytest.raises(SealBroken):
        Sealing(TOKEN_SECRET).open("o", cut)


def test_every_damaged_byte_is_noticed() -> None:
    data = base64.urlsafe_b64decode(Sealing(TOKEN_SECRET).seal("o", "sesame")[3:])
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(SealBroken):
            Sealing(TOKEN_SECRET).open("o", "v1." + base64.urlsafe_b64encode(damaged).decode())


def test_without_a_token_secret_there_are_none() -> None:
    with pytest.raises(ConfigError, match="VOICEGATE_TOKEN_SECRET"):
        Sealing("").seal("o", "sesame")
