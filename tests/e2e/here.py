"""The application inside the test's own process: quick to start, with any settings, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from pipeline.session_config import Engines
from sessions.keys import session_keys
from voicegate import settings as configuration
from voicegate.app import Running, running
from voicegate.kernel.events import Event, decode


@dataclass(frozen=True)
class Here:
    running: Running
    data_dir: Path

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.running.port}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.running.port}"

    async def events(self, session_id: str) -> list[Event]:
        """What Redis has."""
        async with Redis.from_url(self.running.redis_url) as client:
            found = await client.xrange(session_keys(session_id).events)
        return [decode(fields[b"e"]) for _, fields in cast(list[tuple[bytes, dict[bytes, bytes]]], found)]


@asynccontextmanager
async def serving(data_dir: Path, engines: Engines | None = None, **settings: Any) -> AsyncIterator[Here]:
    """``settings`` by the names of the fields of :class:`voicegate.settings.Settings`."""
    fields = configuration.Settings.model_fields
    given = {str(fields[name].validation_alias or name): value for name, value in settings.items()}
    loaded = configuration.load(host="127.0.0.1", port=0, data_dir=data_dir, **{"late_ms": 0.0} | given)
    async with running(loaded, engines) as application:
        yield Here(application, data_dir)
