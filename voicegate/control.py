"""The control API's part of the composition root: settings in, a listening API out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
from prometheus_client import CollectorRegistry

from control_api.app import build_app
from control_api.config import ControlConfig
from control_api.credits.config import CreditsConfig
from control_api.credits.orphans import token_id
from control_api.db.database import DatabaseConfig
from control_api.db.migrations import committed, migrate
from control_api.health.checks import HealthCheck
from control_api.identity.keys import own_key, read_key
from control_api.identity.outsiders import read_settings
from control_api.identity.passwords import Passwords
from control_api.opening import Surroundings, open_parts
from control_api.rate import Limit
from control_api.seed import Admin, oldest_organization, seed
from control_api.server import RunningControl, serve
from gateway.tokens import Claims, sign
from gateway.webrtc.turn_credentials import turn_credentials
from sessions.config import Config as StateConfig
from sessions.prices import PER_CREDIT, read_prices
from voicegate.embedded.postgres import PostgresConfig, embedded_postgres, keep_postgres
from voicegate.embedded.redis import RedisConfig, embedded_redis, keep_redis
from voicegate.kernel.clock import Clock, SystemClock
from voicegate.kernel.observability.process import add_process_metrics
from voicegate.kernel.observability.prometheus import PrometheusTelemetry
from voicegate.published import WrittenAgents
from voicegate.settings import Settings
from voicegate.workshop import open_workshop

_TURN_S = 3600.0
_VENDOR_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Control:
    """A running control API."""

    api: RunningControl
    admin: Admin | None
    """Who was made at this start, if anybody was; a password that was made up for him is known nowhere else."""
    database: str
    """Where it is, in words without secrets."""


@asynccontextmanager
async def running_control(settings: Settings, gateway_url: str = "") -> AsyncIterator[Control]:
    """The control API while entered; ``settings`` are those of :func:`~voicegate.kept_secrets.with_own_secret`.

    ``gateway_url``: where the gateway of this process is, if it has one.

    Raises:
        ConfigError: something is missing or wrong; the message says what and how to mend it.
    """
    clock, registry = SystemClock(), CollectorRegistry()
    add_process_metrics(registry)
    given = settings.database_url.get_secret_value()
    async with AsyncExitStack() as stack:
        redis = RedisConfig(settings.redis_url, settings.data_dir / "redis")
        redis_url = await stack.enter_async_context(embedded_redis(redis))
        postgres = PostgresConfig(given, settings.data_dir / "postgres")
        database_url = await stack.enter_async_context(embedded_postgres(postgres))
        await migrate(database_url, committed())
        admin = await _first_admin(settings, database_url, embedded=not given)
        config = control_settings(settings, database_url, gateway_url)
        workshop = await open_workshop(settings, clock, stack)
        around = Surroundings(
            redis_url,
            StateConfig(retention_s=settings.retention_s, resume_window_s=settings.resume_s),
            await asyncio.to_thread(_issuer_key, settings),
            _MediaToken(settings.token_secret.get_secret_value(), clock),
            clock,
            PrometheusTelemetry(registry),
            await _home(settings, database_url, embedded=not given),
            lambda shelf: WrittenAgents(shelf, workshop),
            workshop,
            workshop.sealing,
            _IceServers(settings, clock),
            _vendor_checks(settings),
        )
        parts = await stack.enter_async_context(open_parts(config, around))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for keeping in (keep_redis(redis), keep_postgres(postgres)):
            stack.callback(tasks.create_task(keeping, name="embedded server").cancel)
        api = await stack.enter_async_context(serve(build_app(parts, registry), config, tasks))
        yield Control(api, admin, "DATABASE_URL" if given else f"embedded, in {settings.data_dir / 'postgres'}")


def control_settings(settings: Settings, database_url: str, gateway_url: str = "") -> ControlConfig:
    """The control API's part of the settings."""
    per_s = settings.api_rate
    return ControlConfig(
        database=DatabaseConfig(database_url),
        host=settings.api_host,
        port=settings.api_port,
        gateway_url=settings.public_url or gateway_url or f"http://localhost:{settings.port}",
        allowed_origins=tuple(part.strip() for part in settings.api_origins.split(",") if part.strip()),
        outsiders=read_settings(settings.issuers.get_secret_value()),
        stale_s=settings.stale_s,
        grace_s=settings.grace_s,
        plain_http_tools=settings.tools_private_hosts,
        credits=credit_settings(settings),
        requests=Limit(per_s, burst=max(1, round(4 * per_s))),
    )


def credit_settings(settings: Settings) -> CreditsConfig:
    """The ledger's part of the settings. A new call needs a tenth of its hold; it is warned when no more is left."""
    hold_micro = round(settings.credits_hold * PER_CREDIT)
    return CreditsConfig(
        enabled=settings.credits,
        prices=read_prices(settings.credits_prices),
        hold_micro=hold_micro,
        least_micro=hold_micro // 10,
        warn_micro=hold_micro // 10,
        end_micro=hold_micro // 40,
        warning=settings.credits_warning,
        farewell=settings.credits_farewell,
    )


async def _first_admin(settings: Settings, url: str, *, embedded: bool) -> Admin | None:
    password = settings.admin_password.get_secret_value()
    if not embedded and not password:
        return None  # whose database it is, is not for us to fill
    return await seed(url, settings.admin_email, password, Passwords())


async def _home(settings: Settings, url: str, *, embedded: bool) -> UUID | None:
    if settings.home_organization:
        return UUID(settings.home_organization)
    return await oldest_organization(url) if embedded else None


def _issuer_key(settings: Settings) -> Any:
    given = settings.issuer_key.get_secret_value()
    return read_key(given) if given else own_key(settings.data_dir / "keys" / "issuer.pem")


@dataclass(frozen=True, slots=True)
class _MediaToken:
    """Tokens that the gateway takes for one call."""

    secret: str
    clock: Clock

    def __call__(self, session_id: str, agent: str, lifetime_s: int) -> str:
        expires = int(self.clock.utc().timestamp()) + lifetime_s
        return sign(self.secret, Claims(session_id, expires, agent, token_id(session_id)))


@dataclass(frozen=True, slots=True)
class _IceServers:
    """The servers that the gateway tells its callers, as RTCIceServer (W3C WebRTC section 4.2.4)."""

    settings: Settings
    clock: Clock

    def __call__(self, session_id: str) -> list[Mapping[str, Any]]:
        urls = [part.strip() for part in self.settings.ice_servers.split(",") if part.strip()]
        secret = self.settings.turn_secret.get_secret_value()
        servers: list[Mapping[str, Any]] = [{"urls": url} for url in urls if url.startswith(("stun:", "stuns:"))]
        if secret:
            now_s = self.clock.utc().timestamp()
            made = turn_credentials(secret, session_id, now_s=now_s, good_for_s=_TURN_S)
            with_password = {"username": made.username, "credential": made.password}
            servers += [{"urls": url, **with_password} for url in urls if url.startswith(("turn:", "turns:"))]
        return servers


def _vendor_checks(settings: Settings) -> dict[str, HealthCheck]:
    if not settings.tts.startswith("elevenlabs"):
        return {}
    key = settings.elevenlabs_api_key.get_secret_value()

    async def answers() -> bool:
        address = f"{settings.elevenlabs_base_url.rstrip('/')}/v1/models"
        async with (
            aiohttp.ClientSession() as client,
            client.get(address, headers={"xi-api-key": key}, allow_redirects=False) as response,
        ):
            return response.status == 200

    return {"elevenlabs": HealthCheck(answers, required=False, keep_s=_VENDOR_EVERY_S)}
