"""What phone benchmarks share: the lines to call on, and the gateway's own account of a call, read from its Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import cast

import msgspec
from redis.asyncio import Redis

from sessions.keys import PREFIX, session_keys
from voicegate.client.carriers.target import PHONES, PhoneTarget, PhoneVia
from voicegate.kernel.events import (
    Event,
    ReplyFinished,
    ReplyInterrupted,
    ReplyStarted,
    SessionEnded,
    decode,
)

_STORED_S = 5.0
"""How long an event may be on its way to Redis on a busy machine."""
_ASK_S = 0.05
_numbers = count(5_550_000_001)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is over, as the gateway accounts for it."""

    heard: str
    interrupted: bool
    at: datetime
    """When it was closed."""
    next_at: datetime | None = None
    """When the answer after it began: what is played from then on is not of this one."""


class Book:
    """A gateway's sessions. ``data_dir`` is that of a gateway with an embedded Redis."""

    def __init__(self, client: "Redis") -> None:
        self._redis = client

    async def session_of(self, call_id: str) -> str:
        """The session of a carrier's call.

        Raises:
            TimeoutError: it has none.
        """
        async with asyncio.timeout(_STORED_S):
            while True:
                async for key in self._redis.scan_iter(f"{PREFIX}*", _type="hash"):
                    name = cast(bytes, key).decode()
                    if name.count(":") == PREFIX.count(":") and await self._is_of(name, call_id):
                        return name.removeprefix(PREFIX)
                await asyncio.sleep(_ASK_S)

    async def _is_of(self, key: str, call_id: str) -> bool:
        context = await self._redis.hget(key, "context")
        return context is not None and call_id in msgspec.json.decode(context, type=dict[str, str]).values()

    async def events(self, session_id: str, after_seq: int = 0) -> list[Event]:
        """Its events so far."""
        found = await self._redis.xrange(session_keys(session_id).events, min=f"({after_seq}-0")
        return [decode(fields[b"e"]) for _, fields in cast(list[tuple[bytes, dict[bytes, bytes]]], found)]

    async def settled(self, session_id: str) -> list[Event]:
        """Its events once it has ended; all there are after some seconds."""
        for _ in range(round(_STORED_S / _ASK_S)):
            found = await self.events(session_id)
            if found and isinstance(found[-1], SessionEnded):
                break
            await asyncio.sleep(_ASK_S)
        return found


def closed_replies(events: Sequence[Event]) -> list[Reply]:
    """Each answer that is over, in order; greetings, fillers and the like are left out."""
    kind = ""
    found: list[Reply] = []
    for event in events:
        match event:
            case ReplyStarted(kind=started, at=at):
                kind = started
                if kind == "answer" and found:
                    found[-1] = replace(found[-1], next_at=found[-1].next_at or at)
            case ReplyInterrupted(heard=heard, at=at) if kind == "answer":
                found.append(Reply(heard, True, at))
            case ReplyFinished(text=text, at=at) if kind == "answer":
                found.append(Reply(text, False, at))
            case _:
                pass
    return found


@asynccontextmanager
async def book(data_dir: Path) -> AsyncIterator[Book]:
    """The sessions of the gateway that keeps its Redis in ``data_dir``."""
    path = (data_dir / "redis" / "socket").read_text()
    client = Redis(unix_socket_path=path)
    try:
        yield Book(client)
    finally:
        await client.aclose()


def chosen(names: str) -> tuple[PhoneVia, ...]:
    """``all``, or names of carriers separated by commas.

    Raises:
        ValueError: a name that is no carrier's.
    """
    if names == "all":
        return PHONES
    wanted = [name.strip() for name in names.split(",")]
    unknown = set(wanted) - set(PHONES)
    if unknown:
        raise ValueError(f"no such carrier: {', '.join(sorted(unknown))}; there are {', '.join(PHONES)}")
    return tuple(via for via in PHONES if via in wanted)


def line(target: PhoneTarget) -> PhoneTarget:
    """``target`` with a caller's number of its own."""
    return replace(target, caller=f"+1{next(_numbers)}")
