"""The composition root: settings in, a running application out. Plain constructor calls, one exit stack."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from gateway.config import DrainConfig, GatewayConfig
from gateway.console import Console, load_console
from gateway.directory import Directory
from gateway.drain import drain
from gateway.health import Check, HealthCheck
from gateway.load import LoadConfig
from gateway.parts import build_parts
from gateway.phone.audiosocket.listener import audiosocket_listener
from gateway.phone.door import phone_routes
from gateway.server import build_application, serve
from gateway.siblings import Worker
from gateway.webrtc.whip import WhipDoor
from gateway.websocket.limits import SocketLimits
from pipeline.allowance import Allowance
from pipeline.endpointing import EndpointingConfig
from pipeline.ports import Agent, SeveralAgents
from pipeline.session_config import Engines, SessionConfig
from pipeline.turn_state import TurnConfig
from sessions.agents import AgentShelf
from sessions.budget import BudgetShelf
from sessions.config import Config as StateConfig
from sessions.connection import AWAY, open_client
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.notes import SharedNotes
from sessions.store import Store
from voicegate.calls import CallRegistry, CallsConfig, State
from voicegate.casting import Casting
from voicegate.embedded.redis import RedisConfig, embedded_redis, keep_redis
from voicegate.engines import open_engines
from voicegate.exchanges import audiosocket_config
from voicegate.kernel.clock import Clock, SystemClock
from voicegate.kernel.errors import ConfigError
from voicegate.kernel.events import Event
from voicegate.kernel.ids import new_session_id
from voicegate.kernel.observability.process import add_process_metrics
from voicegate.kernel.observability.prometheus import PrometheusTelemetry
from voicegate.kernel.telemetry import Telemetry
from voicegate.load import Following, follow_load
from voicegate.metrics import event_metrics
from voicegate.orders import obeying, open_orders
from voicegate.payments import Payments
from voicegate.phones import phone_parts
from voicegate.settings import Settings
from voicegate.webrtc import webrtc_settings
from voicegate.words_log import log_words
from voicegate.workshop import open_workshop


@dataclass(frozen=True, slots=True)
class Running:
    """A running application and where it is."""

    host: str
    port: int
    redis_url: str
    engines: Engines
    calls: CallRegistry
    telemetry: Telemetry
    drain: Callable[[], Coroutine[None, None, None]]
    """Take no new calls, let those in progress end or move; then leave :func:`running`."""

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{'localhost' if self.host == '127.0.0.1' else shown}:{self.port}"


@asynccontextmanager
async def running(
    settings: Settings, engines: Engines | None = None, *, worker: Worker | None = None
) -> AsyncIterator[Running]:
    """The whole application while entered. ``engines`` replace those of the settings (for benchmarks); ``worker``: one
    of several processes that share the port.

    Raises:
        ConfigError: something is missing or wrong; the message says what and how to mend it.
    """
    clock, registry = SystemClock(), CollectorRegistry()
    telemetry = PrometheusTelemetry(registry)
    add_process_metrics(registry)
    async with AsyncExitStack() as stack:
        redis = RedisConfig(settings.redis_url, settings.data_dir / "redis")
        redis_url = await stack.enter_async_context(embedded_redis(redis))
        allowance = Allowance()
        engines = engines or await open_engines(settings, stack, allowance)
        conversations = session_settings(settings, allowance)
        calls, client, casting = await _calls(settings, engines, conversations, redis_url, clock, telemetry, stack)
        gateway_config = replace(gateway_settings(settings), worker=worker)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(tasks.create_task(keep_redis(redis), name="embedded Redis").cancel)
        notes = SharedNotes(client, clock)
        parts = build_parts(
            gateway_config,
            calls,
            clock=clock,
            telemetry=telemetry,
            spent=notes,
            checks={"redis": HealthCheck(lambda: _redis_answers(client), code="state_unavailable")},
        )
        directory = Directory(parts.admission, lambda: _agent_names(engines.agent), AgentShelf(client).names)
        console = Console(await asyncio.to_thread(load_console))
        whip = WhipDoor(parts, webrtc_settings(settings), tasks)
        await whip.prepare()
        orders = await stack.enter_async_context(open_orders(redis_url, _state_config(settings), clock))
        phones = replace(phone_parts(settings, calls, notes), elsewhere=orders.send)
        take_over = casting.of_organization
        await stack.enter_async_context(obeying(redis_url, _state_config(settings), calls, take_over, phones.orders))
        routes = [*console.routes(), *directory.routes(), *whip.routes(), *phone_routes(parts, phones)]
        application = build_application(parts, registry, routes=routes)
        gateway = await stack.enter_async_context(serve(parts, application, tasks))
        if (line := audiosocket_config(settings)) is not None:
            await stack.enter_async_context(audiosocket_listener(parts, phones, line, tasks))
        if settings.late_ms:
            load = Following(parts.load, parts.pace, allowance, calls)
            following = tasks.create_task(follow_load(load, telemetry))
            stack.callback(following.cancel)
        yield Running(
            gateway.host,
            gateway.port,
            redis_url,
            engines,
            calls,
            telemetry,
            lambda: drain(parts, gateway_config.drain),
        )


async def _calls(
    settings: Settings,
    engines: Engines,
    conversations: SessionConfig,
    redis_url: str,
    clock: Clock,
    telemetry: Telemetry,
    stack: AsyncExitStack,
) -> tuple[CallRegistry, Redis, Casting]:
    config = _state_config(settings)
    # A rush of new calls must not look like an outage to the journal, so it has connections of its own.
    client, store_client = open_client(redis_url, config), open_client(redis_url, config)
    stack.push_async_callback(client.aclose)
    stack.push_async_callback(store_client.aclose)
    owner = f"{socket.gethostname()}-{os.getpid()}-{new_session_id()[:8]}"
    leases = await stack.enter_async_context(Leases(client, config, owner))
    workshop = await open_workshop(settings, clock, stack)
    registry: CallRegistry
    count = event_metrics(telemetry)

    def observe(event: Event) -> None:
        count(event)
        log_words(event)

    def away() -> None:
        registry.tell_all("state_away", "the state store is away; the call goes on and is stored later")

    def back() -> None:
        registry.tell_all("state_back", "the state store is back")

    journal = await stack.enter_async_context(
        Journal(client, config, leases, on_away=away, on_back=back, clock=clock, telemetry=telemetry)
    )
    casting = Casting(AgentShelf(store_client), engines, conversations, workshop)
    registry = CallRegistry(
        engines,
        conversations,
        CallsConfig(
            settings.max_calls,
            settings.max_call_s,
            settings.resume_s,
            settings.data_dir / "turns" if settings.record_turns else None,
        ),
        State(Store(store_client, config), leases, journal, config),
        clock,
        observe,
        cast=casting,
        payments=Payments(BudgetShelf(store_client, settings.retention_s)),
    )
    await stack.enter_async_context(registry)
    return registry, store_client, casting


def _state_config(settings: Settings) -> StateConfig:
    return StateConfig(retention_s=settings.retention_s, resume_window_s=settings.resume_s)


async def _redis_answers(client: Redis) -> Check:
    try:
        await client.execute_command("PING")  # type: ignore[no-untyped-call]
    except AWAY as error:
        return Check(ok=False, detail=f"Redis does not answer: {type(error).__name__}")
    return Check(ok=True)


def _agent_names(agent: Agent) -> tuple[str, ...]:
    return agent.names if isinstance(agent, SeveralAgents) else (agent.starting_agent,)


def session_settings(settings: Settings, allowance: Allowance | None = None) -> SessionConfig:
    """The conversation's part of the settings."""
    return SessionConfig(
        turn=TurnConfig(
            endpointing=EndpointingConfig(finished_s=settings.endpointing_ms / 1000),
            speculate=settings.speculate,
            idle_s=settings.idle_s,
        ),
        language=settings.language,
        voice=settings.voice,
        allowance=allowance or Allowance(),
    )


def gateway_settings(settings: Settings) -> GatewayConfig:
    """The gateway's part of the settings."""
    secret, keys = settings.token_secret.get_secret_value(), settings.api_keys.get_secret_value()
    try:
        return _gateway_settings(settings, secret, keys)
    except ConfigError as error:
        variables = "VOICEGATE_TOKEN_SECRET, VOICEGATE_API_KEYS, VOICEGATE_ALLOW_ANONYMOUS"
        raise ConfigError(f"VOICEGATE_HOST={settings.host!r}: {error} ({variables})") from error


def _gateway_settings(settings: Settings, secret: str, keys: str) -> GatewayConfig:
    return GatewayConfig(
        host=settings.host,
        port=settings.port,
        anonymous=settings.allow_anonymous,
        allowed_origins=_listed(settings.allowed_origins),
        token_secrets=(secret,) if secret else (),
        api_keys=_listed(keys),
        max_connections=settings.max_calls,
        limits=SocketLimits(session_s=settings.max_call_s),
        drain=DrainConfig(settings.drain_s),
        load=LoadConfig(late_s=settings.late_ms / 1000),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
