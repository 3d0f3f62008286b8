"""``GET /health`` as the customer's monitoring reads it; live and ready; metrics."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field
from starlette.requests import Request

from control_api.operations import open_to_all
from control_api.parts import Parts
from control_api.wire import Moment, Shown


class Checks(BaseModel):
    """What is asked. ``elevenlabs`` is true where its voices are not used; ``mls``: the homes can be read."""

    database: bool
    redis: bool
    elevenlabs: bool
    mls: bool


class DegradedShown(Shown):
    code: str = Field(description="`database_away`, `state_away` (Redis) or `issuer_away`.")
    since: Moment
    detail: str


class HealthShown(BaseModel):
    status: Literal["healthy", "unhealthy"]
    checks: Checks
    degraded: list[DegradedShown] | None = Field(
        default=None, description="What is away and what that means; only while something is."
    )


class StateShown(BaseModel):
    status: Literal["ok", "failed"]


def health_routes(registry: CollectorRegistry) -> APIRouter:
    """The routes; ``registry`` is what ``/metrics`` shows."""
    router = APIRouter(tags=["health"])

    @open_to_all(
        router.get,
        "/health",
        limited=False,
        response_model_exclude_none=True,
        responses={503: {"model": HealthShown, "description": "Something does not answer."}},
    )
    async def health(parts: Parts, response: Response) -> HealthShown:
        """Whether all works that the product needs."""
        answers = await parts.health.answers()
        good = all(answers.values())
        response.status_code = 200 if good else 503
        degraded = [DegradedShown.model_validate(each) for each in parts.conditions.current] or None
        return HealthShown(status="healthy" if good else "unhealthy", checks=Checks(**answers), degraded=degraded)

    @open_to_all(router.get, "/health/live", limited=False)
    async def live() -> StateShown:
        """200 while the process runs."""
        return StateShown(status="ok")

    @open_to_all(
        router.get,
        "/health/ready",
        limited=False,
        responses={503: {"model": StateShown, "description": "Requests cannot be served."}},
    )
    async def ready(parts: Parts, response: Response) -> StateShown:
        """200 while requests can be served: for load balancers."""
        good = await parts.health.ready()
        response.status_code = 200 if good else 503
        return StateShown(status="ok" if good else "failed")

    @router.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    return router
