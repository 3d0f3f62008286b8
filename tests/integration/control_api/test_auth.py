"""Logging in: pairs, rotation, reuse, throttling, and what is refused at the door."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from control_api.identity.issuer import Issuer, Refresh
from tests.integration.control_api.api import PASSWORD, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def login(world: World) -> Any:
    got = await world.anybody().post("/auth/login", {"email": world.ours.users["owner"].email, "password": PASSWORD})
    assert got.status == 200, got.data
    return got.body


async def refresh(world: World, token: str) -> Any:
    return await world.anybody().post("/auth/refresh", {"refreshToken": token})


async def test_a_login_gives_a_pair_that_works(world: World) -> None:
    pair = await login(world)
    assert set(pair) == {"accessToken", "refreshToken", "tokenType", "expiresIn", "user"}
    user = world.ours.users["owner"]
    assert pair["user"] == {
        "id": str(user.id),
        "email": user.email,
        "organizationId": str(world.ours.id),
        "role": "owner",
    }
    profile = await world.with_token(pair["accessToken"]).get("/users/profile")
    assert profile.body["user"] == pair["user"]


async def test_anybody_can_verify_an_access_token_by_the_published_keys(world: World) -> None:
    keys = (await world.anybody().get("/.well-known/jwks.json")).body["keys"]
    assert [sorted(key) for key in keys] == [["alg", "crv", "kid", "kty", "use", "x", "y"]], "and no private part"
    token = (await login(world))["accessToken"]
    read = jwt.decode(token, ECKey.import_key(keys[0]), ["ES256"])
    assert (read.header["kid"], read.header["typ"]) == (keys[0]["kid"], "at+jwt")
    assert read.claims["exp"] - read.claims["iat"] == 900


@pytest.mark.parametrize(("email", "password"), [("", PASSWORD), ("nobody@example.com", PASSWORD), ("owner", "wrong")])
async def test_wrong_credentials_all_look_alike(world: World, email: str, password: str) -> None:
    email = {"": "x@y", "owner": world.ours.users["owner"].email}.get(email, email)
    got = await world.anybody().post("/auth/login", {"email": email, "password": password})
    assert (got.status, got.code, got.body["detail"]) == (
        401,
        "wrong_credentials",
        "E-mail address or password is wrong.",
    )


async def test_a_few_wrong_passwords_make_the_user_wait(world: World) -> None:
    email = world.ours.users["billing"].email
    guesses = [await world.anybody().post("/auth/login", {"email": email, "password": "guess"}) for _ in range(6)]
    assert [got.status for got in guesses] == [401] * 5 + [429]
    assert int(guesses[-1].headers["Retry-After"]) >= 1
    right = await world.anybody().post("/auth/login", {"email": email.upper(), "password": PASSWORD})
    assert right.code == "rate_limited", "not even the right one, and not by another spelling"
    assert (await login(world))["accessToken"], "others are not concerned"


async def test_a_refresh_gives_a_new_pair_and_takes_the_old_token(world: World) -> None:
    pair = await login(world)
    renewed = (await refresh(world, pair["refreshToken"])).body
    assert renewed["refreshToken"] != pair["refreshToken"]
    again = (await refresh(world, renewed["refreshToken"])).body
    assert (await world.with_token(again["accessToken"]).get("/users/profile")).status == 200
    reused = await refresh(world, pair["refreshToken"])
    assert (reused.status, reused.code) == (401, "token_reused")
    assert (await refresh(world, again["refreshToken"])).code == "unauthorized", "the whole login is revoked"


async def test_ten_refreshes_at_once_give_one_new_pair(world: World) -> None:
    pair = await login(world)
    answers = await asyncio.gather(*(refresh(world, pair["refreshToken"]) for _ in range(10)))
    assert {got.status for got in answers} == {200}
    assert len({got.body["refreshToken"] for got in answers}) == 1
    assert len({got.body["accessToken"] for got in answers}) == 1


async def test_of_the_last_token_too_a_late_replay_revokes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_api.auth.families.GRACE_S", -1.0)
    pair = await login(world)
    renewed = (await refresh(world, pair["refreshToken"])).body
    assert (await refresh(world, pair["refreshToken"])).code == "token_reused"
    assert (await refresh(world, renewed["refreshToken"])).code == "unauthorized"


async def test_a_logout_ends_the_login(world: World) -> None:
    pair = await login(world)
    assert (await world.anybody().post("/auth/logout", {"refreshToken": pair["refreshToken"]})).status == 204
    assert (await refresh(world, pair["refreshToken"])).code == "unauthorized"


async def test_a_refresh_token_of_the_future_is_refused(world: World) -> None:
    """Signed by us, for a login that never got so far: a database that was restored from a backup."""
    user = world.ours.users["owner"]
    token = world.parts.issuer.refresh_token(user.id, Refresh(uuid4(), 3))
    assert (await refresh(world, token)).code == "unauthorized"


# --- tokens that are not good ---------------------------------------------------------------------------------------

Forge = Callable[[World, dict[str, Any], dict[str, Any]], str]


def _our_key(world: World) -> ECKey:
    return world.parts.issuer._key


def signed(world: World, header: Mapping[str, Any], claims: Mapping[str, Any], key: Any = None) -> str:
    """Signed as ours is, whatever header and claims say."""
    made = {"alg": "ES256", "typ": "at+jwt", "kid": _our_key(world).kid, **header}
    registry = jws.JWSRegistry(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)
    return jwt.encode(made, dict(claims), key or _our_key(world), [made["alg"]], registry, default_type=None)


def with_claims(**changes: Any) -> Forge:
    def forge(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
        merged = {**claims, **changes}
        return signed(world, header, {name: value for name, value in merged.items() if value is not ...})

    return forge


def with_header(key: ECKey | None = None, **changes: Any) -> Forge:
    """Signed by hand, by ``key`` or ours: the library would not make such headers."""

    def forge(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
        made = {"alg": "ES256", "typ": "at+jwt", "kid": _our_key(world).kid, **header, **changes}
        body = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (made, claims))
        private = (key or _our_key(world)).private_key
        assert private is not None
        first, second = decode_dss_signature(private.sign(body, ECDSA(SHA256())))
        signature = first.to_bytes(32, "big") + second.to_bytes(32, "big")
        return (body + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()

    return forge


def with_key(make: Callable[[World], Any], **header: Any) -> Forge:
    return lambda world, given, claims: signed(world, {**given, **header}, claims, make(world))


def changed(change: Callable[[str], str]) -> Forge:
    return lambda world, header, claims: change(signed(world, header, claims))


def part(token: str, number: int, text: str) -> str:
    parts = token.split(".")
    parts[number] = text
    return ".".join(parts)


def _none(token: str) -> str:
    return part(part(token, 0, "eyJhbGciOiJub25lIn0"), 2, "")


def _public_pem(world: World) -> OctKey:
    """The classic confusion of algorithms: our public key taken as a shared secret."""
    return OctKey.import_key(_our_key(world).as_pem(private=False).hex())


THIEF = ECKey.generate_key("P-256")
BAD: dict[str, Forge] = {
    "nothing": lambda *_: "",
    "a word": lambda *_: "token",
    "two parts": changed(lambda token: token.rpartition(".")[0]),
    "four parts": changed(lambda token: token + ".x"),
    "six parts": changed(lambda token: token + ".x.y.z"),
    "only dots": lambda *_: "..",
    "five empty parts": lambda *_: "....",
    "oversized": with_claims(padding="x" * 9_000),
    "header is a list": changed(lambda token: part(token, 0, "W10")),
    "header is not JSON": changed(lambda token: part(token, 0, "e30x")),
    "claims are a list": changed(lambda token: part(token, 1, "W10")),
    "claims are not JSON": changed(lambda token: part(token, 1, "abc")),
    "claims nest without end": changed(lambda token: part(token, 1, "W1tb" * 1_000)),
    "no algorithm": changed(_none),
    "algorithm None": changed(lambda token: part(_none(token), 0, "eyJhbGciOiJOb25lIn0")),
    "no signature": changed(lambda token: part(token, 2, "")),
    "signature cut": changed(lambda token: token[:-4]),
    "signature of zeros": changed(lambda token: part(token, 2, "A" * 86)),
    "signature twice": changed(lambda token: token + token.rpartition(".")[2]),
    "public key as HMAC secret": with_key(_public_pem, alg="HS256"),
    "empty HMAC secret": with_key(lambda _: OctKey.import_key("x" * 32), alg="HS256"),
    "another EC key": with_key(lambda _: ECKey.generate_key("P-256")),
    "another EC key, our key id": with_key(
        lambda world: ECKey.generate_key("P-256", {"kid": str(_our_key(world).kid)})
    ),
    "another curve": with_key(lambda _: ECKey.generate_key("P-384"), alg="ES384"),
    "an RSA key": with_key(lambda _: RSAKey.generate_key(2048), alg="RS256"),
    "its own key in the header": with_header(THIEF, jwk=THIEF.as_dict(private=False)),
    "its own key in the header, without an id": with_header(THIEF, jwk=THIEF.as_dict(private=False), kid=None),
    "a key's address in the header": with_key(
        lambda _: ECKey.generate_key("P-256"), jku="http://127.0.0.1:1/keys", kid="x"
    ),
    "a critical extension": with_header(crit=["exp"], exp=1),
    "another type": with_header(typ="JWT"),
    "type of a refresh token": with_header(typ="rt+jwt"),
    "another issuer": with_claims(iss="https://evil.example"),
    "no issuer": with_claims(iss=...),
    "issuer with a space": with_claims(iss="voicegate "),
    "another audience": with_claims(aud="voicegate"),
    "no audience": with_claims(aud=...),
    "expired": with_claims(exp=1_700_000_000),
    "never expires": with_claims(exp=...),
    "expiry is text": with_claims(exp="4102444800"),
    "expiry is true": with_claims(exp=True),
    "not yet valid": with_claims(nbf=4_102_444_800),
    "issued in the future": with_claims(iat=4_102_444_800),
    "unknown user": with_claims(sub="00000000-0000-0000-0000-000000000000", email=...),
    "no user": with_claims(sub=..., email=...),
    "user is a number": with_claims(sub=1, email=2),
    "user with U+0000": with_claims(sub="a\x00b", email="a\x00b"),
    "address is said to be unverified": with_claims(sub="x", email_verified=False),
    "not ASCII": changed(lambda token: token.replace("e", "é", 1)),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_tokens_are_refused(world: World, name: str) -> None:
    user = world.ours.users["owner"]
    good = world.parts.issuer.access_token(user, uuid4())
    read = jwt.decode(good, _our_key(world), ["ES256"])
    token = BAD[name](world, {}, read.claims)
    assert len(BAD) >= 40
    if not token.isascii():
        token = token.encode().decode("latin-1")
    got = await world.with_token(token).get("/agents")
    assert (got.status, got.code) == (401, "unauthorized")
    assert got.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_forgery_is_what_is_refused(world: World) -> None:
    """The same token without any change is good: the table above is refused for its changes, and nothing else."""
    read = jwt.decode(world.parts.issuer.access_token(world.ours.users["owner"], uuid4()), _our_key(world), ["ES256"])
    assert (await world.with_token(signed(world, {}, read.claims)).get("/agents")).status == 200
    assert (await world.with_token(with_header()(world, {}, read.claims)).get("/agents")).status == 200


async def test_a_refresh_token_is_no_access_token(world: World) -> None:
    pair = await login(world)
    assert (await world.with_token(pair["refreshToken"]).get("/agents")).code == "unauthorized"
    assert (await refresh(world, pair["accessToken"])).code == "unauthorized"


async def test_tokens_of_another_deployment_are_refused(world: World) -> None:
    other = Issuer(world.parts.issuer.config, ECKey.generate_key("P-256"), world.parts.clock)
    token = other.access_token(world.ours.users["owner"], uuid4())
    assert (await world.with_token(token).get("/agents")).code == "unauthorized"


@pytest.mark.parametrize("header", ["Basic b3duZXI6eA==", "Bearer", "Bearer  ", "bearer", "token abc"])
async def test_other_schemes_are_refused(world: World, header: str) -> None:
    assert (await world.anybody().get("/agents", headers={"Authorization": header})).code == "unauthorized"


async def test_too_many_requests_are_told_when_to_come_again(world: World) -> None:
    parts = replace(
        world.parts, config=replace(world.parts.config, requests=replace(world.parts.config.requests, per_s=1, burst=3))
    )
    world.application.state.parts = parts
    try:
        answers = [await world.user("analyst", world.theirs).get("/agents") for _ in range(4)]
    finally:
        world.application.state.parts = world.parts
    assert [got.status for got in answers] == [200, 200, 200, 429]
    assert answers[-1].code == "rate_limited"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3
