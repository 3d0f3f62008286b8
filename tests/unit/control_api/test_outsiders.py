"""Issuers that we trust: their good tokens are read, and each one's key opens only its own."""

import hmac
import io
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, Key, OctKey

from control_api.identity.jwks import KEPT_S, UNKNOWN_AGAIN_S, RemoteKeys, fetch_json
from control_api.identity.outsiders import IssuerAway, authjs_key, open_outsider, read_settings
from control_api.problems import Problem
from voicegate.kernel.errors import ConfigError

SECRET = "a secret that both sides know, 32 bytes"
NOW = 1_800_000_000
SUPABASE = {
    "kind": "jwks",
    "issuer": "https://x.example/auth",
    "audience": "authenticated",
    "url": "https://x.example/k",
}
SHARED = {"kind": "secret", "issuer": "https://s.example", "audience": "api", "secret": SECRET}
AUTHJS = {"kind": "authjs", "secret": SECRET}
CLAIMS = {"sub": "me", "email": "me@example.com", "iat": NOW - 10, "exp": NOW + 100}


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime.fromtimestamp(NOW, UTC)


class KeyServer:
    """The issuer's address of its keys."""

    def __init__(self, *keys: Key) -> None:
        self.keys, self.asked, self.away = list(keys), 0, False

    async def __call__(self, url: str) -> Any:
        self.asked += 1
        if self.away:
            raise aiohttp.ClientConnectionError
        return {"keys": [key.as_dict(private=False) for key in self.keys]}


def opened(setting: dict[str, Any], server: KeyServer | None = None) -> Any:
    (read,) = read_settings(json.dumps([setting]))
    return open_outsider(read, Hands(), server or KeyServer())


def new_key(key_id: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": key_id})


def es256(key: ECKey, claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode({"alg": "ES256", "kid": key.kid, **header}, dict(claims), key, ["ES256"])


def hs256(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode({"alg": algorithm, **header}, dict(claims), OctKey.import_key(secret), [algorithm])


def encrypted(claims: dict[str, Any], *, salt: str = "authjs.session-token", method: str = "A256CBC-HS512") -> str:
    key = OctKey.import_key(authjs_key(SECRET.encode(), salt, method))
    return jwt.encode(
        {"alg": "dir", "enc": method}, dict(claims), key, registry=JWERegistry(algorithms=["dir", method])
    )


async def test_a_token_of_a_key_set() -> None:
    key = new_key("one")
    outsider = opened(SUPABASE, KeyServer(key))
    claims = {**CLAIMS, "iss": SUPABASE["issuer"], "aud": ["other", "authenticated"]}
    assert (await outsider.read(es256(key, claims), "one"))["sub"] == "me"
    assert outsider.may_read(SUPABASE["issuer"], encrypted=False)
    assert not outsider.may_read("https://x.example/auth/", encrypted=False)
    assert not outsider.may_read(SUPABASE["issuer"], encrypted=True)


async def test_a_token_of_a_shared_secret() -> None:
    claims = {**CLAIMS, "iss": SHARED["issuer"], "aud": "api"}
    assert (await opened(SHARED).read(hs256(claims), None))["email"] == "me@example.com"


@pytest.mark.parametrize("salt", ["authjs.session-token", "__Secure-authjs.session-token"])
@pytest.mark.parametrize("method", ["A256CBC-HS512", "A256GCM"])
async def test_a_token_of_authjs(salt: str, method: str) -> None:
    token = encrypted(CLAIMS, salt=salt, method=method)
    assert (await opened(AUTHJS).read(token, None))["sub"] == "me"


def test_the_key_of_authjs_is_that_of_its_formula() -> None:
    """HKDF-SHA256 of RFC 5869, worked out with nothing but HMAC."""
    salt = b"authjs.session-token"
    pseudo_random = hmac.digest(salt, SECRET.encode(), "sha256")
    information = b"Auth.js Generated Encryption Key (authjs.session-token)"
    first = hmac.digest(pseudo_random, information + b"\x01", "sha256")
    second = hmac.digest(pseudo_random, first + information + b"\x02", "sha256")
    assert authjs_key(SECRET.encode(), salt.decode(), "A256CBC-HS512") == first + second


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://s.example", "aud": "other"},
        {"iss": "https://evil.example", "aud": "api"},
        {"aud": "api"},
        {"iss": "https://s.example", "aud": "api", "exp": NOW - 100},
        {"iss": "https://s.example", "aud": "api", "exp": None},
        {"iss": "https://s.example", "aud": "api", "nbf": NOW + 100},
    ],
)
async def test_claims_that_are_not_good(claims: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        await opened(SHARED).read(hs256({**CLAIMS, **claims}), None)
    assert refused.value.code == "unauthorized"


async def test_signatures_that_are_not_good() -> None:
    claims = {**CLAIMS, "iss": SHARED["issuer"], "aud": "api"}
    for token in (
        hs256(claims, "another secret, as long as the first"),
        hs256(claims, algorithm="HS512"),
        hs256(claims, typ="id+jwt"),
        es256(new_key("one"), claims),
        "a.b.c",
    ):
        with pytest.raises(Problem):
            await opened(SHARED).read(token, None)


async def test_encryption_that_is_not_good() -> None:
    tokens = [
        encrypted(CLAIMS, salt="another cookie"),
        encrypted({**CLAIMS, "exp": NOW - 100}),
        encrypted({"sub": "me"}),
        "a.b.c.d.e",
    ]
    for token in tokens:
        with pytest.raises(Problem):
            await opened(AUTHJS).read(token, None)


async def test_keys_are_fetched_once_and_again_when_they_are_old() -> None:
    clock, server = Hands(), KeyServer(new_key("one"))
    keys = RemoteKeys("https://x.example", clock, server)
    for _ in range(3):
        assert await keys.find("one")
    assert server.asked == 1
    clock.now += 601
    assert await keys.find("one")
    assert server.asked == 2


async def test_unknown_key_ids_do_not_make_us_ask_all_day() -> None:
    clock, server = Hands(), KeyServer(new_key("one"))
    keys = RemoteKeys("https://x.example", clock, server)
    for number in range(100):
        assert await keys.find(f"invented {number}") is None
        clock.now += 0.1
    assert server.asked == 1
    server.keys.append(new_key("two"))
    clock.now += UNKNOWN_AGAIN_S
    assert await keys.find("two"), "a key that the issuer has changed to is found"
    assert server.asked == 2


async def test_an_issuer_that_is_away_logs_nobody_out() -> None:
    clock, server = Hands(), KeyServer(new_key("one"))
    keys = RemoteKeys("https://x.example", clock, server)
    assert await keys.find("one")
    server.away = True
    clock.now += 10_000
    assert await keys.find("one")
    assert await keys.find("two") is None
    clock.now += KEPT_S
    assert await keys.find("one") is None, "its issuer may have withdrawn it long ago"
    assert keys.is_away


async def test_an_issuer_that_is_away_is_looked_at_again_and_again() -> None:
    clock, server = Hands(), KeyServer(new_key("one"))
    server.away = True
    keys = RemoteKeys("https://x.example", clock, server)
    assert await keys.find("one") is None
    server.away = False
    for _ in range(10):
        clock.now += UNKNOWN_AGAIN_S / 10
        await keys.look_again()
    assert not keys.is_away
    assert await keys.find("one")
    assert server.asked == 2


async def test_whether_a_token_is_good_cannot_be_said_without_its_issuer() -> None:
    key, server = new_key("one"), KeyServer(new_key("other"))
    outsider = opened(SUPABASE, server)
    token = es256(key, {**CLAIMS, "iss": SUPABASE["issuer"], "aud": "authenticated"})
    with pytest.raises(Problem):
        await outsider.read(token, "one")
    server.away = True
    outsider = opened(SUPABASE, server)
    with pytest.raises(IssuerAway):
        await outsider.read(token, "one")
    with pytest.raises(Problem):
        await outsider.read(token, None)


@pytest.mark.parametrize(
    ("status", "body", "fits"),
    [
        (200, b'{"keys": []}', True),
        (200, b'["' + b"x" * 200_000 + b'"]', True),
        (200, b'["' + b"x" * 300_000 + b'"]', False),
        (200, b"<", False),
        (201, b"{}", False),
        (302, b"{}", False),
        (404, b"{}", False),
    ],
)
async def test_a_document_is_fetched_whole_or_not_at_all(status: int, body: bytes, fits: bool) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=io.BytesIO(body), headers={"Location": "/elsewhere"})

    application = web.Application()
    application.router.add_get("/", answer)
    async with TestServer(application) as place:
        url = str(place.make_url("/"))
        if fits:
            assert await fetch_json(url) == json.loads(body)
        else:
            with pytest.raises((aiohttp.ClientError, ValueError)):
                await fetch_json(url)


async def test_a_key_set_with_secrets_in_it_gives_no_secrets() -> None:
    async def fetch(_url: str) -> Any:
        return {"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}

    assert await RemoteKeys("https://x.example", Hands(), fetch).find("one") is None


@pytest.mark.parametrize("text", ["[]", "<html>", "{}", '{"keys": 1}', '{"keys": [{"kty": "EC"}]}'])
async def test_what_is_no_key_set(text: str) -> None:
    async def fetch(_url: str) -> Any:
        return json.loads(text)

    assert await RemoteKeys("https://x.example", Hands(), fetch).find("one") is None


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        '[{"kind": "saml"}]',
        '[{"kind": "secret", "issuer": "i", "audience": "a", "secret": "short"}]',
        '[{"kind": "secret", "issuer": "i", "audience": "a", "secret": "' + "x" * 40 + '", "algorithms": ["none"]}]',
        '[{"kind": "jwks", "issuer": "i", "audience": "a", "url": "file:///etc/passwd"}]',
        '[{"kind": "jwks", "issuer": "i", "audience": "a", "url": "https://x", "algorithms": ["HS256"]}]',
    ],
)
def test_settings_that_are_not_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match="VOICEGATE_ISSUERS"):
        read_settings(text)


def test_no_setting_is_no_issuer() -> None:
    assert read_settings("") == ()
