"""Puts the parts together and runs what works in the background. Called by the composition root."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from joserfc.jwk import ECKey
from sqlalchemy import select

from control_api.agent_runs.runner import Runner
from control_api.agents.publisher import Publisher
from control_api.analytics.recent import Recent
from control_api.config import ControlConfig
from control_api.conversations.consumer import Consumer
from control_api.credits.bookkeeper import Bookkeeper
from control_api.db.database import Database
from control_api.db.models.content import Property
from control_api.degradation.answers import Answers
from control_api.degradation.behind import WriteBehind
from control_api.degradation.breaker import Breaker
from control_api.degradation.conditions import Conditions
from control_api.degradation.tokens import SeenTokens
from control_api.degradation.watch import Watcher
from control_api.health.checks import Health, HealthCheck
from control_api.identity.authenticate import Authenticator
from control_api.identity.directory import Directory
from control_api.identity.issuer import Issuer
from control_api.identity.outsiders import open_outsider
from control_api.identity.passwords import Passwords
from control_api.notifications.announcer import Announcer
from control_api.notifications.hub import Hub
from control_api.parts import ControlParts, MediaTokens
from control_api.rate import Limits
from control_api.text_agents import MakeTextAgents
from control_api.tools.port import ToolCalls
from sessions.agents import AgentShelf
from sessions.budget import BudgetShelf
from sessions.config import Config as StateConfig
from sessions.connection import AWAY, end, open_client
from sessions.notifications import NoticeBoard
from sessions.order_line import Orders
from sessions.run_signs import RunSigns
from sessions.sealing import Sealing
from sessions.store import Store
from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the composition root gives."""

    redis_url: str
    state: StateConfig
    key: ECKey
    media_token: MediaTokens
    clock: Clock
    telemetry: Telemetry
    home: UUID | None
    """The organisation that keeps calls without a published agent; None: nobody does."""
    text_agents: MakeTextAgents
    tool_calls: ToolCalls
    sealing: Sealing
    ice_servers: Callable[[str], list[Mapping[str, Any]]] = lambda _: []
    checks: Mapping[str, HealthCheck] = field(default_factory=dict)
    """Of vendors."""


@contextlib.asynccontextmanager
async def open_parts(config: ControlConfig, around: Surroundings) -> AsyncIterator[ControlParts]:
    """The parts while entered, with their background work."""
    async with contextlib.AsyncExitStack() as stack:
        database = Database(config.database, around.clock, around.telemetry)
        stack.push_async_callback(database.aclose)
        client = open_client(around.redis_url, around.state)
        stack.push_async_callback(client.aclose)
        issuer = Issuer(config.issuer, around.key, around.clock)
        directory = Directory(database, around.clock, config.grace_s)
        redis_breaker = Breaker(around.clock)
        behind = WriteBehind(client, redis_breaker)
        conditions = Conditions(around.clock, around.telemetry)
        outsiders = [open_outsider(each, around.clock) for each in config.outsiders]
        watcher = Watcher(database, client, redis_breaker, outsiders, conditions)
        publisher = Publisher(database, AgentShelf(client), around.clock, paid=config.credits.enabled)

        async def redis_answers() -> bool:
            try:
                return bool(await client.execute_command("PING"))  # type: ignore[no-untyped-call]
            except AWAY:
                return False

        async def homes_readable() -> bool:
            async with database.system() as session:
                await session.scalar(select(Property.id).limit(1))
            return True

        checks = {
            "database": HealthCheck(database.answers),
            "redis": HealthCheck(redis_answers),
            "elevenlabs": HealthCheck(_not_used, required=False),
            "mls": HealthCheck(homes_readable, required=False),
        }
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        store = Store(client, around.state)
        # Orders to live calls wait inside Redis too.
        ordering = open_client(around.redis_url, around.state)
        stack.push_async_callback(ordering.aclose)
        # The consumer waits inside Redis, so it has a connection of its own.
        waiting = open_client(around.redis_url, around.state)
        stack.push_async_callback(waiting.aclose)
        shelf = BudgetShelf(client, around.state.retention_s)
        bookkeeper = Bookkeeper(database, shelf, config.credits, around.clock, around.state.lease_ttl_s)
        await bookkeeper.welcome(around.home)
        board, recent = NoticeBoard(client), Recent()
        announcer = Announcer(database, board, around.clock, config.credits.low_micro)
        # Whoever reads the notice board waits in Redis too.
        reading = open_client(around.redis_url, around.state)
        stack.push_async_callback(reading.aclose)
        hub = Hub(NoticeBoard(reading))
        runner = Runner(database, RunSigns(client), around.clock, tasks)
        consumer = Consumer(
            waiting, store, database, around.clock, around.telemetry, around.home, bookkeeper, announcer, recent
        )
        background = [
            tasks.create_task(publisher.run(), name="publisher"),
            tasks.create_task(consumer.run(), name="conversations"),
            tasks.create_task(watcher.run(), name="services"),
            tasks.create_task(behind.run(), name="answers"),
            tasks.create_task(bookkeeper.run(), name="credits"),
            tasks.create_task(announcer.run(), name="notifications"),
            tasks.create_task(hub.run(), name="listeners"),
            tasks.create_task(runner.run(), name="runs"),
        ]
        stack.push_async_callback(end, background)
        yield ControlParts(
            config=config,
            database=database,
            redis=client,
            store=store,
            orders=Orders(ordering, around.state, around.clock),
            limits=Limits(client, around.clock, redis_breaker),
            issuer=issuer,
            directory=directory,
            authenticator=Authenticator(
                issuer,
                outsiders,
                directory,
                SeenTokens(client, redis_breaker, behind, around.clock, config.grace_s),
            ),
            answers=Answers(client, redis_breaker, behind, around.clock, config.stale_s),
            conditions=conditions,
            passwords=Passwords(),
            publisher=publisher,
            bookkeeper=bookkeeper,
            announcer=announcer,
            recent=recent,
            hub=hub,
            runner=runner,
            health=Health({**checks, **around.checks}, around.clock),
            clock=around.clock,
            telemetry=around.telemetry,
            media_token=around.media_token,
            text_agents=around.text_agents(AgentShelf(client)),
            tool_calls=around.tool_calls,
            sealing=around.sealing,
            ice_servers=around.ice_servers,
        )


async def _not_used() -> bool:
    return True
