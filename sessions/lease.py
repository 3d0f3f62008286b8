"""Who may write to a session: a lease with a fencing token that rises with every acquisition.

The lease itself (a key that expires) only tells others whether the owner lives. What keeps a process that lost its
session from writing is the token, checked inside every script. So an owner that could not renew in time (Redis was
away, the process was suspended) goes on if nobody took over meanwhile, and is refused if somebody did.

Source: Kleppmann, "How to do distributed locking" (2016), fencing tokens.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from redis.asyncio import Redis

from sessions import scripts
from sessions.config import Config
from sessions.connection import AWAY, end, state_errors
from sessions.keys import BEGUN, LIVE, session_keys
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.ids import SessionId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a session, until a larger token exists."""

    session_id: SessionId
    owner: str
    token: int
    seq: int
    """Number of the last event that was stored when the lease was taken."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Whom to tell about a lease that is being renewed. Both are plain calls on the event loop."""

    lost: Callable[[], None]
    forgotten: Callable[[], None]
    """Redis came back without the session: write it again."""


class Leases:
    """Takes leases and renews all of this process's leases, in one round trip each time.

    Use as an async context manager; the renewing task lives inside.
    """

    def __init__(self, client: Redis, config: Config, owner: str) -> None:
        """``owner`` names this process, uniquely over all processes and restarts."""
        self.owner = owner
        self._client = client
        self._config = config
        self._kept: dict[SessionId, tuple[Lease, Keeper]] = {}
        self._tasks = asyncio.TaskGroup()
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._renewing = self._tasks.create_task(self._renew_forever(), name="session leases")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._renewing is not None:
                await end([self._renewing])
        finally:
            await self._tasks.__aexit__(kind, error, trace)

    async def acquire(self, session_id: SessionId, *, steal: bool = False) -> Lease:
        """Own the session. From its return on, no earlier owner can write to it any more.

        ``steal`` takes it from an owner that still renews; only for a client that has proved itself by the session's
        resume secret. An ended session becomes live again.

        Raises:
            RefusedCall: ``session_unknown``, or ``session_busy`` while another owner renews it.
            StateUnavailable: Redis is away.
        """
        keys = session_keys(session_id)
        args = (session_id, self.owner, self._ttl_ms, int(steal), self._retention_ms)
        with state_errors():
            reply = await scripts.run(self._client, scripts.Call(scripts.ACQUIRE, (*keys, LIVE, BEGUN), args))
        match reply:
            case [scripts.ABSENT, _]:
                raise RefusedCall("session_unknown", f"there is no session {session_id}")
            case [scripts.REFUSED, _]:
                raise RefusedCall("session_busy", f"session {session_id} is held by another connection")
            case [int(token), bytes(seq)]:
                return Lease(session_id, self.owner, token, int(seq))
            case _:
                raise AssertionError(f"unexpected reply {reply!r}")

    def keep(self, lease: Lease, keeper: Keeper) -> None:
        """Renew the lease from now on."""
        self._kept[lease.session_id] = (lease, keeper)

    def drop(self, lease: Lease) -> None:
        """Renew it no longer; it runs out by itself."""
        if self._kept.get(lease.session_id, (None,))[0] is lease:
            del self._kept[lease.session_id]

    def arguments(self, lease: Lease) -> tuple[str | int, ...]:
        """What the scripts that set a lease are told, before their own arguments."""
        return (lease.session_id, lease.owner, self._ttl_ms, lease.token, self._retention_ms)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._config.lease_ttl_s / 3)
            try:
                await self._renew()
            except AWAY as error:
                # The journal notices the same and says so once; an owner goes on as long as nobody took over.
                _log.debug("leases not renewed: %s", error or type(error).__name__)

    async def _renew(self) -> None:
        kept = list(self._kept.values())
        for start in range(0, len(kept), self._config.batch_events):
            batch = kept[start : start + self._config.batch_events]
            calls = [
                scripts.Call(scripts.RENEW, (*session_keys(lease.session_id), LIVE), self.arguments(lease))
                for lease, _ in batch
            ]
            replies = await scripts.run_all(self._client, calls)
            for (lease, keeper), reply in zip(batch, replies, strict=True):
                self._renewed(lease, keeper, reply)

    def _renewed(self, lease: Lease, keeper: Keeper, reply: object) -> None:
        if self._kept.get(lease.session_id, (None,))[0] is not lease:
            return  # Dropped while the answer was on its way.
        if reply == scripts.LOST:
            self.drop(lease)
            keeper.lost()
        elif reply == scripts.FORGOTTEN:
            keeper.forgotten()
        elif isinstance(reply, Exception):
            _log.error("lease of %s not renewed: %s", lease.session_id, reply)

    @property
    def _ttl_ms(self) -> int:
        return round(self._config.lease_ttl_s * 1000)

    @property
    def _retention_ms(self) -> int:
        return round(self._config.retention_s * 1000)
