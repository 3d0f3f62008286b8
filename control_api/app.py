"""The FastAPI application: routes, errors, OpenAPI."""

import json
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from pydantic.alias_generators import to_camel

from control_api.agent_runs.routes import router as agent_runs
from control_api.agents.routes import router as agents
from control_api.agents.sessions import router as agent_sessions
from control_api.analytics.routes import performance_router
from control_api.analytics.routes import router as analytics
from control_api.api_keys.routes import router as api_keys
from control_api.auth.routes import router as auth
from control_api.auth.routes import well_known
from control_api.chat.routes import router as chat
from control_api.conversations.afterwards import router as afterwards
from control_api.conversations.commands import router as commands
from control_api.conversations.routes import router as conversations
from control_api.credits.routes import router as credits_
from control_api.degradation.remember import Remember
from control_api.degradation.stale import HEADERS as STALE_HEADERS
from control_api.handoffs.routes import router as handoffs
from control_api.health.routes import health_routes
from control_api.middleware import Watch
from control_api.notifications.socket import router as notifications
from control_api.once import REPLAYED
from control_api.organizations.routes import router as organizations
from control_api.parts import ControlParts
from control_api.permissions.routes import router as permissions
from control_api.problems import ProblemBody, answer_problems
from control_api.tools.routes import router as tools
from control_api.users.routes import router as users

VERSION = "1.0.0"
PREFIX = "/api/v1"
RESOURCES = (
    auth,
    users,
    organizations,
    permissions,
    api_keys,
    agents,
    agent_sessions,
    chat,
    tools,
    handoffs,
    performance_router,
    conversations,
    afterwards,
    commands,
    credits_,
    analytics,
    notifications,
    agent_runs,
)
"""The routers below ``/api/v1``; a new resource is added here."""

_DESCRIPTION = """Agents, their sessions and their conversations.

JSON is in camelCase. Errors are `application/problem+json` (RFC 9457) with a stable `code` and the request's id. Lists
are read by cursor. A POST that creates takes an `Idempotency-Key`; a PATCH wants `If-Match`."""


def build_app(parts: ControlParts, registry: CollectorRegistry) -> FastAPI:
    """The application. ``registry`` is what ``/metrics`` shows."""
    application = _routed(registry)
    application.state.parts = parts
    answer_problems(application)
    application.add_middleware(Remember, answers=parts.answers)
    if parts.config.allowed_origins:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=list(parts.config.allowed_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Idempotency-Key", "X-Request-Id"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id", REPLAYED, *STALE_HEADERS],
        )
    application.add_middleware(
        Watch, clock=parts.clock, telemetry=parts.telemetry, max_body_bytes=parts.config.max_body_bytes
    )
    return application


def openapi_document() -> str:
    """``contract/openapi.json``: what ``/openapi.json`` gives, in a stable order."""
    return json.dumps(_routed(CollectorRegistry()).openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _routed(registry: CollectorRegistry) -> FastAPI:
    application = FastAPI(
        title="voicegate control API",
        version=VERSION,
        description=_DESCRIPTION,
        generate_unique_id_function=_operation_id,
        redoc_url=None,
    )
    api = APIRouter(prefix=PREFIX)
    for router in RESOURCES:
        api.include_router(router)
    application.include_router(api)
    application.include_router(well_known)
    application.include_router(health_routes(registry))
    application.openapi = lambda: _openapi(application)  # type: ignore[method-assign]
    return application


def _operation_id(route: APIRoute) -> str:
    """``agents.create``: what the generated client calls the operation. A handler that has the resource's name lists
    it, one that has its singular gets one."""
    resource = str(route.tags[0]).replace("-", "_")
    verb = {resource: "list", resource.removesuffix("s"): "get"}.get(route.name, route.name)
    return f"{to_camel(resource)}.{to_camel(verb)}"


def _openapi(application: FastAPI) -> dict[str, Any]:
    if application.openapi_schema is None:
        document = get_openapi(
            title=application.title,
            version=application.version,
            description=application.description,
            routes=application.routes,
        )
        model = ProblemBody.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components |= model.pop("$defs", {})
        components["Problem"] = model
        document["components"]["headers"] = STALE_HEADERS
        application.openapi_schema = document
    return application.openapi_schema
