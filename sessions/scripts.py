"""Everything that changes a session in Redis, as Lua: each script is atomic and checks the fencing token itself.

Rules for whoever edits these: times are Redis' own (``TIME``), never an argument; every key that is written gets an
expiry in the same script; every script may run twice with the same arguments and leaves the same state.

The token (``fence`` in the session's hash) rises with every acquisition. A smaller one than ours means that Redis has
forgotten our acquisition (restarted without its data, or a replica took over), a larger one that we have been fenced.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

LOST = -1
"""Another process has taken the session over."""
FORGOTTEN = -2
"""Redis knows neither the session nor our token: restore it."""
BEHIND = -3
"""Redis has lost events it had acknowledged; the second number is the last it has."""
REFUSED = -4
ABSENT = -5


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the name under which Redis caches it (the SHA-1 of its text)."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[str | int | bytes, ...]


_SERVER_WIDE = ("READONLY", "OOM", "MISCONF", "LOADING", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "BUSY", "NOAUTH")
"""Refusals that say nothing about the one call: Redis as a whole cannot be written to."""


async def run(client: Redis, call: Call) -> object:
    """Run one script; Redis is sent its text only if it does not know it.

    Raises:
        redis.exceptions.RedisError: Redis is away or refuses.
    """
    try:
        return await client.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
    except NoScriptError:
        return await client.eval(call.script.text, len(call.keys), *call.keys, *call.args)


async def run_all(client: Redis, calls: Sequence[Call]) -> list[object]:
    """Run many scripts in one round trip. A call that alone was refused answers with its ``ResponseError``.

    Raises:
        redis.exceptions.RedisError: Redis is away, or cannot be written to at all.
    """
    answers = await _round_trip(client, calls)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        for script in {call.script for call in calls}:
            await client.script_load(script.text)
        answers = await _round_trip(client, calls)
    for answer in answers:
        if isinstance(answer, Exception) and _is_server_wide(answer):
            raise RedisConnectionError(str(answer)) from answer
    return answers


async def _round_trip(client: Redis, calls: Sequence[Call]) -> list[object]:
    async with client.pipeline(transaction=False) as pipe:
        for call in calls:
            pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        return list(await pipe.execute(raise_on_error=False))


def _is_server_wide(error: Exception) -> bool:
    return not isinstance(error, ResponseError) or any(word in str(error) for word in _SERVER_WIDE)


_NOW = """
local clock = redis.call('TIME')
local now = clock[1] .. string.format('%03d', math.floor(tonumber(clock[2]) / 1000))
"""

CREATE = Script(
    _NOW
    + """
-- KEYS session events transcript lease; ARGV retention_ms replace field value ...
local status = redis.call('HGET', KEYS[1], 'status')
local fence = redis.call('HGET', KEYS[1], 'fence')
if status then
  local held = status == 'live' and redis.call('EXISTS', KEYS[4]) == 1
  if ARGV[2] ~= '1' or held then return -4 end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('HSET', KEYS[1], 'created_ms', now, 'updated_ms', now, 'seq', '0')
if fence then redis.call('HSET', KEYS[1], 'fence', fence) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return tonumber(now)
"""
)

ACQUIRE = Script(
    _NOW
    + """
-- KEYS session events transcript lease live begun; ARGV id owner ttl_ms steal retention_ms
if redis.call('EXISTS', KEYS[1]) == 0 then return {-5, '0'} end
if ARGV[4] ~= '1' and redis.call('EXISTS', KEYS[4]) == 1 then return {-4, '0'} end
local token = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'status', 'live', 'ended_reason', '', 'updated_ms', now)
redis.call('SET', KEYS[4], token .. ':' .. ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[5], tonumber(now) + tonumber(ARGV[3]), ARGV[1])
redis.call('XADD', KEYS[6], 'MAXLEN', '~', 10000, '*', 's', ARGV[1])
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
for i = 5, 6 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
return {token, redis.call('HGET', KEYS[1], 'seq') or '0'}
"""
)

RENEW = Script(
    _NOW
    + """
-- KEYS session events transcript lease live; ARGV id owner ttl_ms token retention_ms
local have = redis.call('HMGET', KEYS[1], 'fence', 'released')
local fence = tonumber(have[1] or '-1')
local mine = tonumber(ARGV[4])
if fence > mine then return -1 end
if fence < mine then return -2 end
if have[2] == ARGV[4] then return 0 end
redis.call('HSET', KEYS[1], 'updated_ms', now)
redis.call('SET', KEYS[4], ARGV[4] .. ':' .. ARGV[2], 'PX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', '(' .. now)
redis.call('ZADD', KEYS[5], tonumber(now) + tonumber(ARGV[3]), ARGV[1])
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
redis.call('PEXPIRE', KEYS[5], ARGV[5])
return 1
"""
)

RELEASE = Script(
    """
-- KEYS session lease live; ARGV id owner token
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[3] then return 0 end
-- A renewal that was on its way already must not bring the lease back.
redis.call('HSET', KEYS[1], 'released', ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
"""
)

WRITE = Script(
    _NOW
    + """
-- KEYS session events transcript
-- ARGV token retention_ms maxlen expected_seq ended(0|1) reason n_events {seq json} {field json}
local have = redis.call('HMGET', KEYS[1], 'fence', 'seq')
local fence = tonumber(have[1] or '-1')
local mine = tonumber(ARGV[1])
if fence > mine then return {-1, '0'} end
if fence < mine then return {-2, '0'} end
local last = have[2] or '0'
if tonumber(last) < tonumber(ARGV[4]) then return {-3, last} end
local at = 8
for _ = 1, tonumber(ARGV[7]) do
  if tonumber(ARGV[at]) > tonumber(last) then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], ARGV[at] .. '-0', 'e', ARGV[at + 1])
    last = ARGV[at]
  end
  at = at + 2
end
while at < #ARGV do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
redis.call('HSET', KEYS[1], 'seq', last, 'updated_ms', now)
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'status', 'ended', 'ended_reason', ARGV[6]) end
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return {1, last}
"""
)

RESTORE = Script(
    _NOW
    + """
-- KEYS session events transcript lease live; ARGV id owner ttl_ms token retention_ms field value ...
local fence = tonumber(redis.call('HGET', KEYS[1], 'fence') or '-1')
if fence > tonumber(ARGV[4]) then return {-1, '0'} end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local last = newest[1] and string.match(newest[1][1], '^%d+') or '0'
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'fence', ARGV[4], 'seq', last, 'updated_ms', now)
redis.call('SET', KEYS[4], ARGV[4] .. ':' .. ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[5], tonumber(now) + tonumber(ARGV[3]), ARGV[1])
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
redis.call('PEXPIRE', KEYS[5], ARGV[5])
return {1, last}
"""
)

END = Script(
    _NOW
    + """
-- KEYS session lease live; ARGV id reason retention_ms
if redis.call('EXISTS', KEYS[1]) == 0 then return -5 end
if redis.call('EXISTS', KEYS[2]) == 1 then return -4 end
if redis.call('HGET', KEYS[1], 'status') ~= 'ended' then
  redis.call('HSET', KEYS[1], 'status', 'ended', 'ended_reason', ARGV[2], 'updated_ms', now)
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)

ERASE = Script(
    """
-- KEYS session events transcript lease live; ARGV id created_ms
local created = redis.call('HGET', KEYS[1], 'created_ms')
if created and created ~= ARGV[2] then return -4 end
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[5], ARGV[1])
return 1
"""
)

LIVE_IDS = Script(_NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')")

LIVE_COUNT = Script(_NOW + "return redis.call('ZCOUNT', KEYS[1], now, '+inf')")
