"""Plivo's signature V3: what Plivo's own library signs and checks, we sign and check."""

import pytest
from plivo.utils import validate_v3_signature
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3

from gateway.phone.plivo.signature import is_signed, sign

TOKEN, NONCE = "0123456789abcdef", "87654321"
FORM = [("To", "1555"), ("From", "1666"), ("CallUUID", "u-1"), ("Empty", "")]
URLS = (
    "https://voice.example.com/phone/plivo/answer",
    "https://voice.example.com:8443/phone/plivo/answer",
    "https://voice.example.com/phone/plivo/answer?b=2&a=1",
)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("form", [FORM, []])
def test_the_library_and_we_agree(url: str, form: list[tuple[str, str]]) -> None:
    theirs = get_signature_v3(TOKEN, construct_post_url(url, dict(form)).decode(), NONCE).decode()
    assert is_signed(TOKEN, url, form, NONCE, theirs)
    assert is_signed(TOKEN, url, form, NONCE, f"b3RoZXI=,{theirs}")
    ours = sign(TOKEN, url, form, NONCE)
    assert validate_v3_signature(
        method="POST", uri=url, nonce=NONCE, auth_token=TOKEN, v3_signature=ours, params=dict(form)
    )


@pytest.mark.parametrize(
    ("token", "url", "form", "nonce"),
    [
        ("another", URLS[0], FORM, NONCE),
        (TOKEN, URLS[1], FORM, NONCE),
        (TOKEN, URLS[0], FORM[1:], NONCE),
        (TOKEN, URLS[0], FORM, "1"),
        ("", URLS[0], FORM, NONCE),
        (TOKEN, URLS[0], FORM, ""),
    ],
)
def test_anything_else_is_forged(token: str, url: str, form: list[tuple[str, str]], nonce: str) -> None:
    assert not is_signed(token, url, form, nonce, sign(TOKEN, URLS[0], FORM, NONCE))
    assert not is_signed(token, url, form, nonce, "")
