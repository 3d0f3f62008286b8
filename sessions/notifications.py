"""What organisations are told, in Redis: one stream each, which every process of the control API reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from sessions import scripts
from sessions.connection import state_errors
from sessions.keys import notifications_key, told_key

KEPT = 1_000
"""Notifications of an organisation that can be read again; about so many."""
KEPT_S = 86_400.0
_PAGE = 500

_PUT = scripts.Script(
    """
-- KEYS stream told; ARGV payload kept kept_ms told_ms
if not redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[4]) then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'n', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)


@dataclass(frozen=True, slots=True)
class Posted:
    """A notification to be told once."""

    organization_id: str
    once: str
    """It is told once under this name, however often and by however many processes it is posted."""
    payload: bytes
    """JSON."""
    told_s: float = KEPT_S
    """After so long the name may be used again."""


@dataclass(frozen=True, slots=True)
class Told:
    """A notification as it was told."""

    id: str
    """Rises within an organisation: milliseconds on Redis' clock, a hyphen, a number."""
    payload: bytes


class NoticeBoard:
    """Every method raises :class:`~voicegate.kernel.errors.StateUnavailable` if Redis is away."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, notices: Sequence[Posted]) -> None:
        """Tell them, in this order."""
        calls = [
            scripts.Call(
                _PUT,
                (notifications_key(each.organization_id), told_key(each.once)),
                (each.payload, KEPT, round(KEPT_S * 1000), round(each.told_s * 1000)),
            )
            for each in notices
        ]
        with state_errors():
            for answer in await scripts.run_all(self._client, calls):
                if isinstance(answer, ResponseError):
                    raise answer

    async def newest(self, organization_id: str) -> str:
        """The id of the last one; ``0-0`` if there is none."""
        with state_errors():
            found = await self._client.xrevrange(notifications_key(organization_id), count=1)
        return cast(list[tuple[bytes, object]], found)[0][0].decode() if found else "0-0"

    async def has(self, organization_id: str, told_id: str) -> bool:
        """Whether this one is still kept, and so all that came after it."""
        with state_errors():
            return bool(await self._client.xrange(notifications_key(organization_id), told_id, told_id, count=1))

    async def after(self, organization_id: str, last_id: str) -> list[Told]:
        """All that are kept after this id, the oldest first."""
        key, told, last = notifications_key(organization_id), list[Told](), last_id
        while True:
            with state_errors():
                found = cast(Any, await self._client.xrange(key, min=f"({last}", count=_PAGE))
            told += [_told(*entry) for entry in found]
            if len(found) < _PAGE:
                return told
            last = told[-1].id

    async def wait(self, positions: Mapping[str, str], wait_ms: int) -> dict[str, list[Told]]:
        """What comes after these ids, by organisation: at once if there is anything, else within ``wait_ms``. It keeps
        a connection while it waits."""
        keys: dict[Any, Any] = {notifications_key(each): last for each, last in positions.items()}
        names = {notifications_key(each): each for each in positions}
        with state_errors():
            found = cast(Any, await self._client.xread(keys, count=_PAGE, block=wait_ms))
        return {names[key.decode()]: [_told(*entry) for entry in entries] for key, entries in found or []}


def _told(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Told:
    return Told(entry_id.decode(), fields.get(b"n", b"{}"))
