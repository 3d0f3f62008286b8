"""Logins and the refresh tokens that follow one another in them (RFC 9700 section 4.14.2: rotation, reuse detection).

Only the newest token of a login is good. An older one that comes again was stolen, or its thief has used it first:
either way the whole login is revoked. One exception: a page that refreshes in two places at once sends the same token
twice within a moment. Until :data:`GRACE_S` after the rotation the same answer is given again; it is stored sealed with
the token that it answers, so that only who has that token can read it.
"""

import os
from datetime import timedelta
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.db.models.people import TokenFamily
from control_api.db.models.people import User as UserRow
from control_api.identity.caller import User
from control_api.identity.issuer import Issuer, Refresh
from control_api.problems import Problem
from voicegate.kernel.clock import Clock

GRACE_S = 2.0
_NONCE_BYTES = 12


class Families:
    """Every method works in the transaction of ``session``, which must be one of the system's."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer, self._clock = issuer, clock

    async def begin(self, session: AsyncSession, user: User) -> tuple[str, str]:
        """A new login: its access token and its first refresh token."""
        now = self._clock.utc()
        expires = now + timedelta(seconds=self._issuer.config.refresh_s)
        family = TokenFamily(user_id=user.id, serial=1, rotated_at=now, expires_at=expires)
        session.add(family)
        await session.flush()
        return self._pair(user, family)

    async def rotate(self, session: AsyncSession, token: str) -> tuple[str, str, User] | None:
        """The next pair of the login, and its user. None: the token was used before, and the login is revoked now;
        commit that, then refuse.

        Raises:
            Problem: ``unauthorized``, the token is not good.
        """
        arrived = self._clock.utc()
        presented = self._issuer.read_refresh(token)
        family = await self._locked(session, presented)
        user = await self._user(session, family.user_id)
        if presented.serial == family.serial:
            family.serial += 1
            family.rotated_at = self._clock.utc()
            access, refresh = self._pair(user, family)
            family.last_answer = _seal(token, f"{access} {refresh}")
            return access, refresh, user
        just_rotated = (arrived - family.rotated_at).total_seconds() <= GRACE_S
        if presented.serial == family.serial - 1 and just_rotated and family.last_answer is not None:
            access, _, refresh = _unseal(token, family.last_answer).partition(" ")
            return access, refresh, user
        family.revoked_at, family.revoked_for = self._clock.utc(), "reuse"
        return None

    async def revoke(self, session: AsyncSession, token: str) -> None:
        """End the login of a refresh token, whichever of its tokens it is.

        Raises:
            Problem: ``unauthorized``, the token is not good.
        """
        family = await self._locked(session, self._issuer.read_refresh(token))
        family.revoked_at, family.revoked_for = self._clock.utc(), "logout"

    async def _locked(self, session: AsyncSession, presented: Refresh) -> TokenFamily:
        family = await session.get(TokenFamily, presented.family, with_for_update=True)
        if family is None or family.revoked_at is not None or presented.serial > family.serial:
            raise Problem("unauthorized", "This login has ended: log in again.")
        return family

    async def _user(self, session: AsyncSession, user_id: UUID) -> User:
        row = await session.scalar(select(UserRow).where(UserRow.id == user_id))
        if row is None:
            raise Problem("unauthorized", "This user is not known any more.")
        return User(row.id, row.email, row.organization_id, row.role)

    def _pair(self, user: User, family: TokenFamily) -> tuple[str, str]:
        refresh = self._issuer.refresh_token(user.id, Refresh(family.id, family.serial))
        return self._issuer.access_token(user, family.id), refresh


def _cipher(token: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, b"voicegate answer to a refresh").derive(token.encode()))


def _seal(token: str, text: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(token).encrypt(nonce, text.encode(), None)


def _unseal(token: str, sealed: bytes) -> str:
    try:
        return _cipher(token).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
    except InvalidTag:  # another token of the same number: it cannot be one that we signed twice
        raise Problem("unauthorized", "This login has ended: log in again.") from None
