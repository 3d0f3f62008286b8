"""Our carriers' signatures are accepted by the vendors' own libraries."""

import base64
import hashlib
import hmac
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OctKey
from plivo.utils import validate_v3_signature
from twilio.request_validator import RequestValidator

from voicegate.client.carriers import signatures

TOKEN = "0123456789abcdef0123456789abcdef"
FORM = {"To": "+1555", "From": "+1666", "CallSid": "CA1", "Empty": "", "Ümlaut": "ä b&c"}


def test_twilio_believes_a_webhook() -> None:
    url = "https://voice.example.com/phone/twilio/answer?a=1"
    validator = RequestValidator(TOKEN)
    assert validator.validate(url, FORM, signatures.twilio(TOKEN, url, FORM))
    assert not validator.validate(url, FORM | {"To": "+1556"}, signatures.twilio(TOKEN, url, FORM))


@pytest.mark.parametrize("url", ["wss://ex.com/phone/twilio", "wss://ex.com:8443/phone/twilio"])
def test_twilio_believes_an_upgrade(url: str) -> None:
    assert RequestValidator(TOKEN).validate(url, {}, signatures.twilio(TOKEN, url))


@pytest.mark.parametrize("query", ["", "?b=2&a=1"])
@pytest.mark.parametrize("form", [FORM, {}])
def test_plivo_believes_a_webhook(query: str, form: dict[str, str]) -> None:
    url = f"https://voice.example.com/phone/plivo/answer{query}"
    signed = signatures.plivo(TOKEN, url, form, "12345")
    arguments = {"nonce": "12345", "auth_token": TOKEN, "v3_signature": signed}
    assert validate_v3_signature(method="POST", uri=url, params=dict(form), **arguments)
    assert not validate_v3_signature(method="POST", uri=url + "x", params=dict(form), **arguments)


def test_telnyx_signs_timestamp_and_body() -> None:
    key = Ed25519PrivateKey.generate()
    signed = signatures.telnyx(key.private_bytes_raw(), "1700000000", b"a=b")
    key.public_key().verify(base64.b64decode(signed), b"1700000000|a=b")


def test_vonage_makes_a_token_of_the_body() -> None:
    token = signatures.vonage("s" * 32, b"{}", issued_at=1_700_000_000, token_id="j", application="app")
    claims = jwt.decode(token, OctKey.import_key("s" * 32), algorithms=["HS256"]).claims
    assert claims["payload_hash"] == hashlib.sha256(b"{}").hexdigest()
    assert (claims["iat"], claims["jti"], claims["application_id"]) == (1_700_000_000, "j", "app")


def test_genesys_signs_the_components_in_order() -> None:
    """Recomputed here from the header alone, as a server does."""
    secret = base64.b64encode(b"the secret").decode()
    headers = {
        "audiohook-organization-id": "org",
        "audiohook-session-id": "session",
        "audiohook-correlation-id": "correlation",
        "x-api-key": "key",
    }
    given = signatures.genesys(secret, headers, "wss://ex.com/phone/genesys?x=1", key="key", nonce="n" * 22, created=5)
    match = re.fullmatch(r"sig1=(\((.*)\);keyid=\"key\";nonce=\"n{22}\";alg=\"hmac-sha256\";created=5;expires=35)",
                         given["Signature-Input"])  # fmt: skip
    assert match is not None
    names = [name.strip('"') for name in match[2].split(" ")]
    assert names == list(signatures.GENESYS_COMPONENTS)
    values = headers | {"@request-target": "/phone/genesys?x=1", "@authority": "ex.com"}
    base = "\n".join([*(f'"{name}": {values[name]}' for name in names), f'"@signature-params": {match[1]}'])
    expected = base64.b64encode(hmac.digest(b"the secret", base.encode(), "sha256")).decode()
    assert given["Signature"] == f"sig1=:{expected}:"
