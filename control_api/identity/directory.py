"""Users and API keys as the database has them, remembered for a moment: every request asks."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from control_api.db.database import Database
from control_api.db.models.people import ApiKey
from control_api.db.models.people import User as UserRow
from control_api.identity.caller import Caller, User
from control_api.identity.permissions import PERMISSIONS, PERSONAL
from control_api.identity.remembered import Remembered
from voicegate.kernel.clock import Clock

_NOTE_USE_EVERY = timedelta(minutes=1)

KEY_PREFIX = "vgk_"
_SHOWN_CHARACTERS = 12


def new_key() -> tuple[str, str, bytes]:
    """An API key: the key itself, the part that is shown later, the hash that is stored."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, key[:_SHOWN_CHARACTERS], key_hash(key)


def key_hash(key: str) -> bytes:
    """SHA-256: the key has 256 random bits, so that it needs neither salt nor slowness."""
    return hashlib.sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Key:
    caller: Caller
    expires_at: datetime | None


class Directory:
    """Every method raises :class:`~control_api.db.database.DatabaseAway` if the database is away, and who is asked for
    was not found in it within ``grace_s``. Who was, is given with a doubt."""

    def __init__(self, database: Database, clock: Clock, grace_s: float = 0.0) -> None:
        self._database = database
        self._clock = clock
        self._users: Remembered[UUID | str, User] = Remembered(clock, grace_s)
        self._keys: Remembered[bytes, _Key] = Remembered(clock, grace_s)

    async def user(self, user_id: UUID) -> User | None:
        return await self._user(user_id)

    async def user_by_email(self, email: str) -> User | None:
        """Without regard to case only if the database has it in lower case, as the frontend writes it."""
        return await self._user(email)

    async def key(self, key: str) -> Caller | None:
        """The caller of an API key that is neither revoked nor expired."""
        hashed = key_hash(key)
        known, doubt = await self._keys.get(hashed, lambda: self._find_key(hashed))
        if known is None or (known.expires_at is not None and known.expires_at <= self._clock.utc()):
            return None
        return replace(known.caller, doubt=doubt) if doubt else known.caller

    async def _user(self, wanted: UUID | str) -> User | None:
        user, doubt = await self._users.get(wanted, lambda: self._find_user(wanted))
        return replace(user, doubt=doubt) if user and doubt else user

    def forget_key(self, hashed: bytes) -> None:
        """It was revoked here."""
        self._keys.forget(hashed)

    async def _find_user(self, wanted: UUID | str) -> User | None:
        column = UserRow.id if isinstance(wanted, UUID) else UserRow.email
        async with self._database.system() as session:
            row = await session.scalar(select(UserRow).where(column == wanted))
        return User(row.id, row.email, row.organization_id, row.role) if row else None

    async def _find_key(self, hashed: bytes) -> _Key | None:
        now = self._clock.utc()
        async with self._database.system() as session:
            row = await session.scalar(select(ApiKey).where(ApiKey.key_hash == hashed))
            if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
                return None
            if row.last_used_at is None or now - row.last_used_at > _NOTE_USE_EVERY:
                await session.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=now))
        allowed = frozenset(row.scopes) & PERMISSIONS.keys() - PERSONAL
        return _Key(Caller("key", row.id, row.organization_id, allowed), row.expires_at)
