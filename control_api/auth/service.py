"""Logging in, staying logged in, logging out."""

from sqlalchemy import select, update

from control_api.auth.families import Families
from control_api.auth.schemas import Tokens, UserShown
from control_api.db.models.people import Credentials
from control_api.db.models.people import User as UserRow
from control_api.identity.caller import User
from control_api.parts import ControlParts
from control_api.problems import Problem


class AuthService:
    def __init__(self, parts: ControlParts) -> None:
        self._parts = parts
        self._families = Families(parts.issuer, parts.clock)

    async def login(self, email: str, password: str) -> Tokens:
        """Raises Problem: ``wrong_credentials``, ``rate_limited`` after a few wrong passwords for this user."""
        email = email.strip().lower()
        bucket = f"login:{email}"
        wait = await self._parts.limits.take(bucket, self._parts.config.logins)
        if wait:
            raise Problem("rate_limited", "Too many wrong passwords for this user.", retry_after_s=wait)
        user, stored = await self._find(email)
        # No connection is held meanwhile: hashing takes its time, and a rush of logins must not empty the pool.
        if not await self._parts.passwords.verify(stored, password) or user is None or stored is None:
            raise Problem("wrong_credentials", "E-mail address or password is wrong.")
        await self._parts.limits.forget(bucket)
        renewed = await self._parts.passwords.hash(password) if self._parts.passwords.needs_rehash(stored) else None
        async with self._parts.database.system() as session:
            if renewed is not None:
                mine = Credentials.user_id == user.id
                await session.execute(update(Credentials).where(mine).values(password_hash=renewed))
            access, refresh = await self._families.begin(session, user)
        return self._tokens(access, refresh, user)

    async def refresh(self, token: str) -> Tokens:
        """Raises Problem: ``unauthorized``, ``token_reused``."""
        async with self._parts.database.system() as session:
            rotated = await self._families.rotate(session, token)
        if rotated is None:
            raise Problem("token_reused", "This refresh token was used before: log in again.")
        return self._tokens(*rotated)

    async def logout(self, token: str) -> None:
        """Raises Problem: ``unauthorized``."""
        async with self._parts.database.system() as session:
            await self._families.revoke(session, token)

    async def _find(self, email: str) -> tuple[User | None, str | None]:
        wanted = (
            select(UserRow, Credentials.password_hash)
            .outerjoin(Credentials, Credentials.user_id == UserRow.id)
            .where(UserRow.email == email)
        )
        async with self._parts.database.system() as session:
            found = (await session.execute(wanted)).first()
        if found is None:
            return None, None
        row, stored = found
        return User(row.id, row.email, row.organization_id, row.role), stored

    def _tokens(self, access: str, refresh: str, user: User) -> Tokens:
        return Tokens(
            access_token=access,
            refresh_token=refresh,
            expires_in=self._parts.issuer.config.access_s,
            user=UserShown.model_validate(user),
        )
