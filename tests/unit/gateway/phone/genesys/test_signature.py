"""The signed upgrade of AudioHook: what is taken, and everything that is refused."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.genesys.signature import COVERED, GenesysKeys, Signed, read_keys, verify
from gateway.phone.genesys.structured import BadField, parse_bytes
from gateway.phone.protocol import Upgrade
from voicegate.kernel.errors import ConfigError, RefusedCall

NOW = 1_700_000_000
SECRET = b"a secret of thirty-two bytes ....."
KEYS = GenesysKeys({"key-1": SECRET, "open": b""})
TARGET = "/phone/genesys?x=1"
PLAIN = {
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": "key-1",
}
NONCE = base64.b64encode(bytes(18)).decode()


def signed(
    plain: Mapping[str, str] = PLAIN,
    *,
    covered: tuple[str, ...] = COVERED,
    parameters: str | None = None,
    secret: bytes = SECRET,
    target: str = TARGET,
) -> dict[str, str]:
    """The headers of a signed request, made the other way round than the verifier reads them."""
    if parameters is None:
        parameters = f'keyid="key-1";nonce="{NONCE}";alg="hmac-sha256";created={NOW};expires={NOW + 30}'
    inputs = "(" + " ".join(f'"{name}"' for name in covered) + ");" + parameters
    values = {"@request-target": target, "@authority": "voice.example.com", "@method": "GET", **plain}
    base = "\n".join([*(f'"{name}": {values[name]}' for name in covered), f'"@signature-params": {inputs}'])
    digest = base64.b64encode(hmac.digest(secret, base.encode(), hashlib.sha256)).decode()
    return {**plain, "signature-input": f"sig1={inputs}", "signature": f"sig1=:{digest}:"}


def checked(
    headers: Mapping[str, str],
    now_s: float = NOW,
    keys: GenesysKeys = KEYS,
    *,
    host: str = "Voice.Example.com",
    public_url: str = "",
) -> Signed:
    path, _, query = TARGET.partition("?")
    return verify(Upgrade(path, query, headers, authority=host, public_url=public_url), keys, now_s)


def test_a_good_signature_names_its_sender() -> None:
    found = checked(signed(), NOW + 5)
    assert (found.api_key, found.session_id, found.nonce) == ("key-1", PLAIN["audiohook-session-id"], NONCE)
    assert found.organization_id == PLAIN["audiohook-organization-id"]


def test_the_nonce_is_kept_longer_than_the_signature_lives() -> None:
    expires = checked(signed()).expires
    with pytest.raises(RefusedCall):
        checked(signed(), expires)


def test_more_than_the_least_may_be_covered() -> None:
    checked(signed(covered=(*COVERED, "@method")))


def test_behind_a_proxy_the_public_host_counts() -> None:
    with pytest.raises(RefusedCall):
        checked(signed(), host="10.0.0.7:8000")
    checked(signed(), host="10.0.0.7:8000", public_url="https://voice.example.com")


def test_a_key_without_a_secret_opens_unsigned() -> None:
    found = checked({**PLAIN, "x-api-key": "open"})
    assert (found.api_key, found.nonce) == ("open", "")


def with_parameters(text: str) -> Callable[[], dict[str, str]]:
    return lambda: signed(parameters=text)


GOOD = f'keyid="key-1";nonce="{NONCE}";alg="hmac-sha256"'
FORGED: dict[str, Callable[[], Mapping[str, str]]] = {
    "unsigned": lambda: PLAIN,
    "no api key": lambda: {**signed(), "x-api-key": ""},
    "no session id": lambda: {key: value for key, value in signed().items() if key != "audiohook-session-id"},
    "unknown key": lambda: {**signed(), "x-api-key": "key-2"},
    "unknown key, signed for it": lambda: signed(
        {**PLAIN, "x-api-key": "key-2"}, parameters=GOOD.replace("key-1", "key-2") + f";created={NOW}"
    ),
    "wrong secret": lambda: signed(secret=b"another secret"),
    "a key without a secret, signed with nothing": lambda: signed(
        {**PLAIN, "x-api-key": "open"},
        parameters=GOOD.replace("key-1", "open") + f";created={NOW}",
        secret=b"",
    ),
    "another session": lambda: {**signed(), "audiohook-session-id": "10b0e395-84d3-4570-ac13-9a62d8f514c0"},
    "another organization": lambda: {**signed(), "audiohook-organization-id": "1"},
    "another target": lambda: signed(target="/phone/genesys"),
    "signature only": lambda: {key: value for key, value in signed().items() if key != "signature-input"},
    "input only": lambda: {key: value for key, value in signed().items() if key != "signature"},
    "two labels": lambda: {**signed(), "signature-input": signed()["signature-input"] + ', b=("a")'},
    "another label": lambda: {**signed(), "signature": "sig2=:aGk=:"},
    "not base64": lambda: {**signed(), "signature": "sig1=:a:"},
    "not all covered": lambda: signed(covered=COVERED[:-1]),
    "covered twice": lambda: signed(covered=(*COVERED, "x-api-key")),
    "covers what is not there": lambda: {
        **signed({**PLAIN, "x-more": "1"}, covered=(*COVERED, "x-more")),
        "x-more": "",
    },
    "covers a component that is not known": lambda: {
        name: value
        for name, value in signed({**PLAIN, "@status": "1"}, covered=(*COVERED, "@status")).items()
        if name != "@status"
    },
    "stale": with_parameters(f"{GOOD};created={NOW - 14};expires={NOW + 30}"),
    "expired": with_parameters(f"{GOOD};created={NOW - 8};expires={NOW - 4}"),
    "from the future": with_parameters(f"{GOOD};created={NOW + 4};expires={NOW + 30}"),
    "no created": with_parameters(f"{GOOD};expires={NOW + 30}"),
    "created is text": with_parameters(f'{GOOD};created="{NOW}"'),
    "expires is text": with_parameters(f'{GOOD};created={NOW};expires="{NOW}"'),
    "no nonce": with_parameters(f'keyid="key-1";alg="hmac-sha256";created={NOW}'),
    "short nonce": with_parameters(f'keyid="key-1";nonce="{"a" * 21}";created={NOW}'),
    "long nonce": with_parameters(f'keyid="key-1";nonce="{"a" * 257}";created={NOW}'),
    "nonce is a number": with_parameters(f'keyid="key-1";nonce=1234567890123;created={NOW}'),
    "another keyid": with_parameters(f'keyid="open";nonce="{NONCE}";created={NOW}'),
    "another algorithm": with_parameters(f'keyid="key-1";nonce="{NONCE}";alg="none";created={NOW}'),
    "a parameter that is not known": with_parameters(f"{GOOD};created={NOW};tag=1"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forgeries_are_refused(name: str) -> None:
    with pytest.raises(RefusedCall) as refusal:
        checked(FORGED[name]())
    nothing_there = name in ("unsigned", "no api key", "no session id")
    assert refusal.value.code == ("unauthorized" if nothing_there else "forged")


@given(st.dictionaries(st.sampled_from([*signed()]), st.text(max_size=80)))
def test_any_header_is_refused_in_words(headers: dict[str, str]) -> None:
    with pytest.raises(RefusedCall):
        checked(headers)


def digest_of(field: str) -> bytes | None:
    try:
        return parse_bytes(field).get("sig1")
    except BadField:
        return None


@given(st.sampled_from(["signature", "signature-input", "x-api-key", "audiohook-correlation-id"]), st.data())
def test_one_changed_character_breaks_it(name: str, data: st.DataObject) -> None:
    headers = signed()
    at = data.draw(st.integers(0, len(headers[name]) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = headers[name][:at] + other + headers[name][at + 1 :]
    same = changed == headers[name]
    if same or (name == "signature" and digest_of(changed) == digest_of(headers[name])):
        return  # base64's last letter has bits that mean nothing
    with pytest.raises(RefusedCall):
        checked({**headers, name: changed})


def test_keys_are_read_from_text() -> None:
    assert read_keys(" a:aGk= , b:eW8= ,") == {"a": b"hi", "b": b"yo"}
    assert read_keys("a:", unsigned=True) == {"a": b""}


@pytest.mark.parametrize("text", ["a", ":aGk=", "a:", "a:%%%", "a:a"])
def test_wrong_keys_stop_the_start(text: str) -> None:
    with pytest.raises(ConfigError):
        read_keys(text)
