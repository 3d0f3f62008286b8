"""``/auth``: tokens of our own issuer, and its public keys."""

from typing import Any

from fastapi import APIRouter, Response

from control_api.auth.schemas import Login, RefreshGiven, Tokens
from control_api.auth.service import AuthService
from control_api.operations import open_to_all
from control_api.parts import Parts

router = APIRouter(prefix="/auth", tags=["auth"])
well_known = APIRouter(tags=["auth"])


@open_to_all(router.post, "/login", errors=(401,))
async def login(parts: Parts, body: Login) -> Tokens:
    """A pair of tokens for an e-mail address and a password. A few wrong passwords make the user wait."""
    return await AuthService(parts).login(body.email, body.password)


@open_to_all(router.post, "/refresh", errors=(401,))
async def refresh(parts: Parts, body: RefreshGiven) -> Tokens:
    """A new pair for the newest refresh token. An older one revokes the login."""
    return await AuthService(parts).refresh(body.refresh_token)


@open_to_all(router.post, "/logout", errors=(401,), status_code=204, response_class=Response)
async def logout(parts: Parts, body: RefreshGiven) -> None:
    """End the login. Its access tokens stay good until they expire."""
    await AuthService(parts).logout(body.refresh_token)


@open_to_all(well_known.get, "/.well-known/jwks.json", limited=False)
async def jwks(parts: Parts, response: Response) -> dict[str, Any]:
    """The public keys that verify our access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    keys: dict[str, Any] = parts.issuer.public_keys()
    return keys
