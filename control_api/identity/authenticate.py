"""From what a request presents to who makes it."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from control_api.degradation.tokens import SeenTokens
from control_api.identity.caller import Caller, User, caller_of
from control_api.identity.claims import MAX_TOKEN_BYTES, refused
from control_api.identity.directory import KEY_PREFIX, Directory
from control_api.identity.issuer import Issuer
from control_api.identity.outsiders import IssuerAway, Outsider
from control_api.problems import Problem

_SIGNED_PARTS, _ENCRYPTED_PARTS = 3, 5


class Authenticator:
    def __init__(self, issuer: Issuer, outsiders: Sequence[Outsider], directory: Directory, seen: SeenTokens) -> None:
        self._issuer, self._outsiders, self._directory, self._seen = issuer, tuple(outsiders), directory, seen

    async def caller(self, token: str | None) -> Caller:
        """Who presents ``token``: an API key, or a token of ours or of an issuer that we trust.

        Where it cannot be looked up now, but could a while ago, the caller comes with a doubt.

        Raises:
            Problem: ``unauthorized``; ``issuer_unavailable``, nobody can say whether the token is good.
            DatabaseAway: it cannot be looked up now.
        """
        if not token:
            raise Problem("unauthorized", "Send a token: 'Authorization: Bearer <token>'.")
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise refused(f"tokens are ASCII and have at most {MAX_TOKEN_BYTES} characters")
        if token.startswith(KEY_PREFIX):
            return await self._of_key(token)
        try:
            claims = await self._claims(token)
        except IssuerAway:
            seen = await self._seen.claims(token)
            if seen is None:
                raise Problem("issuer_unavailable", "Whether the token is good cannot be said now.") from None
            return replace(caller_of(await self._user(seen)), doubt="issuer")
        return caller_of(await self._user(claims))

    async def _of_key(self, key: str) -> Caller:
        caller = await self._directory.key(key)
        if caller is None:
            raise Problem("unauthorized", "This API key is unknown, revoked or expired.")
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        parts = token.split(".")
        if len(parts) not in (_SIGNED_PARTS, _ENCRYPTED_PARTS):
            raise refused("it is neither a signed nor an encrypted one")
        encrypted = len(parts) == _ENCRYPTED_PARTS
        header = _json_part(parts[0])
        issuer = None if encrypted else _text(_json_part(parts[1]).get("iss"))
        if not encrypted and issuer == self._issuer.name:
            return self._issuer.read_access(token)
        # Only an issuer that the token names itself may read it: a key of one never verifies tokens of another.
        readers = [each for each in self._outsiders if each.may_read(issuer, encrypted=encrypted)]
        failure: Problem | IssuerAway = refused("we do not trust its issuer")
        for each in readers:
            try:
                claims = await each.read(token, _text(header.get("kid")))
            except (Problem, IssuerAway) as error:
                # Whoever might read it and cannot say so now outweighs those who say that it is not theirs.
                failure = failure if isinstance(failure, IssuerAway) else error
            else:
                if each.may_be_away:
                    self._seen.note(token, claims)
                return claims
        raise failure

    async def _user(self, claims: dict[str, Any]) -> User:
        """The user that the claims name: by our id, else by an e-mail address that is not said to be unverified."""
        subject, email = _text(claims.get("sub")), _text(claims.get("email"))
        user = None
        if (user_id := _uuid(subject)) is not None:
            user = await self._directory.user(user_id)
        if user is None and email and claims.get("email_verified") is not False:
            user = await self._directory.user_by_email(email.lower())
        if user is None:
            raise Problem("unauthorized", "The token is good, but its user is not known here.")
        return user


def _json_part(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise refused("it cannot be read")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value and "\x00" not in value else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
