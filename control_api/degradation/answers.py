"""The last good answer to every reading request, kept in Redis for when the database is away.

An answer is found by its organisation, by what its caller may do (and by the caller himself, where the answer is about
him), and by the whole URL. All answers together are bounded in bytes, the oldest ones go first; each is bounded, and
lives for a while. Where something is erased, the organisation's answers are forgotten: those that are under way too,
because an answer whose request began before that is not taken any more.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from control_api.degradation.behind import WriteBehind
from control_api.degradation.breaker import Breaker
from sessions import scripts
from sessions.connection import AWAY, state_errors
from sessions.keys import ANSWER_PREFIX, ANSWER_SIZES, ANSWERS, answer_key, forgotten_key
from voicegate.kernel.clock import Clock

MOST_ANSWER_BYTES = 128 * 1024
MOST_BYTES = 64 * 1024 * 1024
UNCHANGED_S = 10.0
"""An answer that has not changed is written again after so long only: its age is then too high by that much."""
_MARGIN_MS = 2_000
"""Between the clocks of two machines that serve the API."""
_FORGOTTEN_MS = 120_000
_REMEMBERED = 4_096

_KEEP = scripts.Script(
    """
-- KEYS answer index sizes forgotten; ARGV member bytes life_ms most_bytes prefix begun_ms value
if tonumber(redis.call('GET', KEYS[4]) or '-1') >= tonumber(ARGV[6]) then return 0 end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local old = tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or '0')
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
local total = redis.call('HINCRBY', KEYS[3], '', tonumber(ARGV[2]) - old)
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('SET', KEYS[1], ARGV[7], 'PX', ARGV[3])
while true do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if not oldest[1] then break end
  local over = tonumber(oldest[2]) + tonumber(ARGV[3]) < now
  if total <= tonumber(ARGV[4]) and not over then break end
  redis.call('ZREM', KEYS[2], oldest[1])
  total = redis.call('HINCRBY', KEYS[3], '', -tonumber(redis.call('HGET', KEYS[3], oldest[1]) or '0'))
  redis.call('HDEL', KEYS[3], oldest[1])
  redis.call('DEL', ARGV[5] .. oldest[1])
end
redis.call('PEXPIRE', KEYS[2], 2 * ARGV[3])
redis.call('PEXPIRE', KEYS[3], 2 * ARGV[3])
return 1
"""
)

_FORGET = scripts.Script(
    """
-- KEYS index sizes forgotten; ARGV organisation until_ms expiry_ms prefix
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
local whose = ARGV[1] .. ':'
local gone = 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(member, 1, #whose) == whose then
    redis.call('ZREM', KEYS[1], member)
    redis.call('HINCRBY', KEYS[2], '', -tonumber(redis.call('HGET', KEYS[2], member) or '0'))
    redis.call('HDEL', KEYS[2], member)
    redis.call('DEL', ARGV[4] .. member)
    gone = gone + 1
  end
end
return gone
"""
)


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """An answer with status 200."""

    at: datetime
    """When its request began, UTC: what changed later is not in it."""
    content_type: str
    etag: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is kept under, and since when it is being worked on."""

    organization_id: UUID
    digest: str
    at: datetime

    @property
    def member(self) -> str:
        return f"{self.organization_id}:{self.digest}"


def digest_of(path: str, query: str, permissions: Iterable[str], caller: str = "") -> str:
    """The name of a request's answer within its organisation. The order of the query's parts does not matter."""
    asked = urlencode(sorted(parse_qsl(query, keep_blank_values=True)))
    parts = (path, asked, " ".join(sorted(permissions)), caller)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Answers:
    def __init__(
        self,
        client: Redis,
        breaker: Breaker,
        behind: WriteBehind,
        clock: Clock,
        life_s: float,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """``life_s``: how long an answer is kept; 0: none is. ``most_bytes``: of all answers in Redis together."""
        self._client, self._breaker, self._behind, self._clock = client, breaker, behind, clock
        self._life_ms, self._most_bytes = round(life_s * 1000), most_bytes
        self._written: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def keep(self, asked: Asked, content_type: str, etag: str, body: bytes) -> None:
        """Keep the answer, soon. Nobody waits for it, and it may be lost."""
        if not self._life_ms or self._is_written(asked.member, body):
            return
        value = msgspec.msgpack.encode(Kept(asked.at, content_type, etag, body))
        keys = (answer_key(asked.member), ANSWERS, ANSWER_SIZES, forgotten_key(str(asked.organization_id)))
        args = (asked.member, len(value), self._life_ms, self._most_bytes, ANSWER_PREFIX, _ms(asked.at), value)
        self._behind.offer(f"answer:{asked.member}", scripts.Call(_KEEP, keys, args), len(value))

    async def find(self, asked: Asked) -> Kept | None:
        """The last answer that was kept, or None: there is none, or Redis is away too."""
        if self._breaker.is_open or not self._life_ms:
            return None
        try:
            found = cast(bytes | None, await self._client.get(answer_key(asked.member)))
        except AWAY:
            self._breaker.failed()
            return None
        return msgspec.msgpack.decode(found, type=Kept) if found else None

    async def forget(self, organization_id: UUID) -> None:
        """Delete all answers of the organisation, and take none whose request began before now. Call it after the
        transaction that erases something.

        Raises:
            StateUnavailable: Redis is away; the answers end with their life.
        """
        whose = f"{organization_id}:"
        self._behind.drop_all(f"answer:{whose}")
        for member in [each for each in self._written if each.startswith(whose)]:
            del self._written[member]
        until_ms = _ms(self._clock.utc()) + _MARGIN_MS
        keys = (ANSWERS, ANSWER_SIZES, forgotten_key(str(organization_id)))
        args = (str(organization_id), until_ms, _FORGOTTEN_MS, ANSWER_PREFIX)
        with state_errors():
            await scripts.run(self._client, scripts.Call(_FORGET, keys, args))

    def _is_written(self, member: str, body: bytes) -> bool:
        now_s, content = self._clock.monotonic(), hash(body)
        known, at_s = self._written.get(member, (None, 0.0))
        if known == content and now_s - at_s < UNCHANGED_S:
            return True
        self._written[member] = (content, now_s)
        self._written.move_to_end(member)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)
        return False


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
