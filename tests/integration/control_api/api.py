"""The control API as tests use it: a real server over real services, and people who call it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import psycopg
from fastapi import FastAPI
from joserfc.jwk import ECKey
from prometheus_client import CollectorRegistry

from control_api.app import build_app
from control_api.config import ControlConfig
from control_api.credits.orphans import token_id
from control_api.db.database import DatabaseConfig
from control_api.db.models.model import UserRole
from control_api.identity.caller import User
from control_api.identity.directory import new_key
from control_api.identity.permissions import ROLES
from control_api.opening import Surroundings, open_parts
from control_api.parts import ControlParts
from control_api.server import serve
from gateway.tokens import Claims, sign
from pipeline.adapters.outward_http import outward_http
from sessions.config import Config as StateConfig
from sessions.sealing import Sealing
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.observability.prometheus import PrometheusTelemetry
from voicegate.published import Workshop, WrittenAgents

SECRET = "a secret of the tests only, long enough"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.data)

    @property
    def code(self) -> str:
        """Of a problem; anything else fails."""
        assert self.headers["Content-Type"] == "application/problem+json", self.data
        body = self.body
        assert body["status"] == self.status
        assert body["requestId"] == self.headers["X-Request-Id"]
        return str(body["code"])


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody with (or without) a token."""

    http: aiohttp.ClientSession
    url: str
    token: str = ""

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Got:
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        address = path if path.startswith(("/health", "/.")) else f"/api/v1{path}"
        payload = io.BytesIO(data) if data is not None else None  # aiohttp warns of large bytes
        async with self.http.request(
            method, self.url + address, data=payload, headers=sent, allow_redirects=False
        ) as response:
            return Got(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Got:
        return await self("GET", path, **options)

    async def post(self, path: str, body: object = None, **options: Any) -> Got:
        return await self("POST", path, {} if body is None and "data" not in options else body, **options)

    async def patch(self, path: str, body: object, **options: Any) -> Got:
        return await self("PATCH", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Got:
        return await self("DELETE", path, **options)


@dataclass(frozen=True, slots=True)
class Company:
    """An organisation with a user of every role."""

    id: UUID
    users: Mapping[UserRole, User]


@dataclass(slots=True)
class World:
    """A running API and two organisations."""

    parts: ControlParts
    application: FastAPI
    owner_url: str
    ours: Company
    theirs: Company
    http: aiohttp.ClientSession
    url: str
    _tokens: dict[UUID, str] = field(default_factory=dict)

    def anybody(self) -> Client:
        return Client(self.http, self.url)

    def with_token(self, token: str) -> Client:
        return Client(self.http, self.url, token)

    def user(self, role: UserRole = "owner", company: Company | None = None) -> Client:
        person = (company or self.ours).users[role]
        if person.id not in self._tokens:
            self._tokens[person.id] = self.parts.issuer.access_token(person, uuid4())
        return self.with_token(self._tokens[person.id])

    async def key(self, *scopes: str, company: Company | None = None) -> Client:
        key, prefix, hashed = new_key()
        async with await psycopg.AsyncConnection.connect(self.owner_url) as connection:
            await connection.execute(
                "INSERT INTO api_keys (organization_id, name, prefix, key_hash, scopes)"
                " VALUES (%s, 'test', %s, %s, %s)",
                ((company or self.ours).id, prefix, hashed, list(scopes)),
            )
        return self.with_token(key)


async def make_company(url: str, password_hash: str) -> Company:
    organization, users = uuid4(), {}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("INSERT INTO organizations (id, name) VALUES (%s, 'Acme')", (organization,))
        for role in ROLES:
            user = User(uuid4(), f"{role}-{organization.hex[:8]}@example.com", organization, role)
            await connection.execute(
                "INSERT INTO users (id, email, organization_id, role) VALUES (%s, %s, %s, %s)",
                (user.id, user.email, organization, role),
            )
            await connection.execute(
                "INSERT INTO credentials (user_id, password_hash) VALUES (%s, %s)", (user.id, password_hash)
            )
            users[role] = user
    return Company(organization, users)


@asynccontextmanager
async def running_world(database_url: str, redis_url: str, **config: Any) -> AsyncIterator[World]:
    """A world on these services."""

    clock, registry = SystemClock(), CollectorRegistry()

    def media_token(session_id: str, agent: str, lifetime_s: int) -> str:
        expires = int(clock.utc().timestamp()) + lifetime_s
        return sign(SECRET, Claims(session_id, expires, agent, token_id(session_id)))

    private = config.get("plain_http_tools", False)
    settings = ControlConfig(DatabaseConfig(database_url, pool_size=5), port=0, **config)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(outward_http(private_hosts=private))
        workshop = Workshop(clock, http, Sealing(SECRET))
        around = Surroundings(
            redis_url,
            StateConfig(),
            ECKey.generate_key("P-256"),
            media_token,
            clock,
            PrometheusTelemetry(registry),
            None,
            lambda shelf: WrittenAgents(shelf, workshop),
            workshop,
            workshop.sealing,
        )
        parts = await stack.enter_async_context(open_parts(settings, around))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        application = build_app(parts, registry)
        hashed = await parts.passwords.hash(PASSWORD)
        ours, theirs = await make_company(database_url, hashed), await make_company(database_url, hashed)
        for company in (ours, theirs):
            await parts.bookkeeper.welcome(company.id)
        running = await stack.enter_async_context(serve(application, settings, tasks))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        yield World(parts, application, database_url, ours, theirs, client, running.url)
