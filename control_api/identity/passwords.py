"""Passwords by Argon2id (RFC 9106), a few at a time: each takes 19 MiB and some 30 ms of a core."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE = 4


class Passwords:
    """Hashes and verifies in threads."""

    def __init__(self) -> None:
        # OWASP's Password Storage Cheat Sheet: m=19456 (19 MiB), t=2, p=1.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the stored one. Takes as long for somebody without a password, so that the time does
        not tell who has one."""
        async with self._slots:
            good = await asyncio.to_thread(self._verify, stored or self._nobodys, password)
        return good and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether it was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
