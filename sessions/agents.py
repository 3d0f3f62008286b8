"""Published agents in Redis: the control API puts them there, the gateway takes them when a call begins."""

from typing import Any, Literal, cast

import msgspec
from redis.asyncio import Redis

from sessions import scripts
from sessions.connection import state_errors
from sessions.keys import PUBLISHED, agent_key

_PUT = scripts.Script(
    """
-- KEYS agent published; ARGV version json id name
if tonumber(redis.call('HGET', KEYS[1], 'version') or '-1') > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'snapshot', ARGV[2], 'name', ARGV[4])
local clock = redis.call('TIME')
redis.call('ZADD', KEYS[2], clock[1] * 1000 + math.floor(clock[2] / 1000), ARGV[3])
return 1
"""
)


class Knowledge(msgspec.Struct, frozen=True, rename="camel"):
    """A piece of what an agent knows."""

    topic: str
    text: str


class ToolSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An HTTP request that an agent may make in a call."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments: an object."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    """With ``{parameter}`` in its path and query."""
    headers: dict[str, str] = {}
    """With ``{{secret}}`` in their values."""
    secrets: dict[str, str] = {}
    """Sealed (:mod:`sessions.sealing`) for the agent's organisation."""
    timeout_s: float = 8.0
    acts: bool = True
    """It changes something, so it runs once the caller's turn is settled and never before."""
    filler: str = ""
    """Said while it runs."""


class HandoffSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who takes over, and when."""

    condition: str
    to_agent: str = ""
    """Id of an agent; what it is, is what it published last."""
    to_number: str = ""
    """A telephone number instead."""


class AgentSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One version of an agent, with all that a call needs. Fields may be added with a default, never taken away: an old
    gateway reads what a new control API wrote, and the other way round."""

    id: str
    version: int
    name: str
    organization_id: str
    preset: Literal["none", "estate-agency"] = "none"
    instructions: str = ""
    greeting: str = ""
    language: str = ""
    voice: str = ""
    """Empty: the deployment's."""
    model: str = ""
    """Empty: the deployment's."""
    knowledge: tuple[Knowledge, ...] = ()
    paid: bool = False
    """Calls cost its organisation credits."""
    tools: tuple[ToolSnapshot, ...] = ()
    handoffs: tuple[HandoffSnapshot, ...] = ()


class AgentShelf:
    """Every method raises :class:`~voicegate.kernel.errors.StateUnavailable` if Redis is away."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, snapshot: AgentSnapshot) -> None:
        """Make it what new calls get, unless a later version is there already."""
        args = (snapshot.version, msgspec.json.encode(snapshot), snapshot.id, snapshot.name)
        call = scripts.Call(_PUT, (agent_key(snapshot.id), PUBLISHED), args)
        with state_errors():
            await scripts.run(self._client, call)

    async def take(self, agent_id: str) -> AgentSnapshot | None:
        """The published version, or None if there is none."""
        with state_errors():
            found = cast(bytes | None, await self._client.hget(agent_key(agent_id), "snapshot"))
        return msgspec.json.decode(found, type=AgentSnapshot) if found else None

    async def remove(self, agent_id: str) -> None:
        """New calls get it no more."""
        with state_errors():
            await self._client.delete(agent_key(agent_id))
            await self._client.zrem(PUBLISHED, agent_id)

    async def names(self, most: int) -> list[tuple[str, str]]:
        """Ids and names of the agents that were published last, newest first."""
        with state_errors():
            found = cast(list[bytes], await self._client.zrevrange(PUBLISHED, 0, most - 1))
            ids = [each.decode() for each in found]
            async with self._client.pipeline(transaction=False) as pipe:
                for agent_id in ids:
                    pipe.hget(agent_key(agent_id), "name")
                names = cast(list[bytes | None], await pipe.execute())
        return [(agent_id, name.decode()) for agent_id, name in zip(ids, names, strict=True) if name is not None]
