"""Signed Vonage webhooks. The tokens are made with the standard library, not with the library that checks them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.vonage.signature import VonageKeys, query_payload, verify
from voicegate.kernel.errors import ConfigError, RefusedCall

NOW = 1_700_000_000
SECRET = "the-signature-secret-of-the-account"
KEYS = VonageKeys(["one-that-is-replaced", SECRET])
BODY = b'{"from":"441632960960","to":"441632960961","uuid":"aaaaaaaa-bbbb","conversation_uuid":"CON-1"}'
CLAIMS = {
    "iat": NOW,
    "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
    "iss": "Vonage",
    "payload_hash": hashlib.sha256(BODY).hexdigest(),
    "api_key": "abcd1234",
    "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer(claims: object = CLAIMS, *, secret: str = SECRET, header: object = None, digest: str = "sha256") -> str:
    head = header or {"alg": "HS256", "typ": "JWT"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    return f"Bearer {text}.{encoded(hmac.digest(secret.encode(), text.encode(), digest))}"


def without(*names: str) -> dict[str, object]:
    return {key: value for key, value in CLAIMS.items() if key not in names}


def test_a_signed_body_is_taken() -> None:
    claims = verify(bearer(), BODY, KEYS, NOW + 3)
    assert claims.token_id == CLAIMS["jti"]
    assert claims.application_id == CLAIMS["application_id"]


def test_the_token_id_is_kept_longer_than_the_token_lives() -> None:
    with pytest.raises(RefusedCall):
        verify(bearer(), BODY, KEYS, verify(bearer(), BODY, KEYS, NOW).expires)


def test_of_a_get_the_query_is_signed() -> None:
    payload = query_payload([("from", "44"), ("to", "4 4"), ("uuid", "é")])
    assert payload == '{"from":"44","to":"4 4","uuid":"é"}'.encode()
    verify(bearer({**CLAIMS, "payload_hash": hashlib.sha256(payload).hexdigest()}), payload, KEYS, NOW)


def test_the_payload_hash_may_be_left_out_by_setting() -> None:
    verify(bearer(without("payload_hash")), b"rewritten", VonageKeys([SECRET], payload_hash=False), NOW)


def test_expiry_comes_from_the_token_where_it_is_earlier() -> None:
    verify(bearer({**CLAIMS, "exp": NOW + 60}), BODY, KEYS, NOW + 80)
    with pytest.raises(RefusedCall):
        verify(bearer({**CLAIMS, "exp": NOW + 60}), BODY, KEYS, NOW + 91)


FORGED: dict[str, Callable[[], str | None]] = {
    "nothing": lambda: None,
    "basic": lambda: "Basic " + bearer()[7:],
    "no token": lambda: "Bearer ",
    "no JWT": lambda: "Bearer abc",
    "wrong secret": lambda: bearer(secret="somebody-elses-secret"),
    "not signed": lambda: bearer(header={"alg": "none"}),
    "another algorithm": lambda: bearer(header={"alg": "HS512"}, digest="sha512"),
    "cut signature": lambda: bearer()[:-2],
    "too long": lambda: bearer({**CLAIMS, "x": "y" * 4096}),
    "not ASCII": lambda: bearer() + "é",
    "another body": lambda: bearer({**CLAIMS, "payload_hash": hashlib.sha256(b"{}").hexdigest()}),
    "no payload hash": lambda: bearer(without("payload_hash")),
    "payload hash is no text": lambda: bearer({**CLAIMS, "payload_hash": 1}),
    "stale": lambda: bearer({**CLAIMS, "iat": NOW - 331}),
    "from the future": lambda: bearer({**CLAIMS, "iat": NOW + 31}),
    "no iat": lambda: bearer(without("iat")),
    "iat is true": lambda: bearer({**CLAIMS, "iat": True}),
    "no jti": lambda: bearer(without("jti")),
    "empty jti": lambda: bearer({**CLAIMS, "jti": ""}),
    "exp is text": lambda: bearer({**CLAIMS, "exp": "later"}),
    "exp is true": lambda: bearer({**CLAIMS, "exp": True}),
    "claims are a list": lambda: bearer([1]),
}


@pytest.mark.parametrize("name", FORGED)
def test_forgeries_are_refused(name: str) -> None:
    with pytest.raises(RefusedCall) as refusal:
        verify(FORGED[name](), BODY, KEYS, NOW)
    assert refusal.value.code == "forged"


@given(st.text())
def test_any_header_is_refused_in_words(text: str) -> None:
    for header in (text, "Bearer " + text):
        with pytest.raises(RefusedCall):
            verify(header, BODY, KEYS, NOW)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_claim_is_refused_or_taken(value: object) -> None:
    for name in ("iat", "jti", "exp", "payload_hash", "application_id"):
        try:
            verify(bearer({**CLAIMS, name: value}), BODY, KEYS, NOW)
        except RefusedCall:
            continue


def test_a_short_secret_stops_the_start() -> None:
    with pytest.raises(ConfigError):
        VonageKeys(["short"])
