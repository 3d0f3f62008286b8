"""``/api-keys``: keys for servers. A key is shown once and stored as a hash."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from control_api import audit
from control_api.db.models.people import ApiKey
from control_api.db.repository import Repository
from control_api.identity.directory import new_key
from control_api.identity.permissions import SCOPES
from control_api.once import Answer, OnceDep
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import Parts
from control_api.problems import Problem, invalid, missing
from control_api.wire import Given, Moment, Name, Page, Shown

router = APIRouter(prefix="/api-keys", tags=["api-keys"])

KeyId = Annotated[UUID, Path(alias="keyId")]


class ApiKeyGiven(Given):
    name: Name
    scopes: Annotated[list[str], Field(min_length=1, max_length=100, description="Permissions the key has.")]
    expires_at: datetime | None = Field(default=None, description="Null: it does not expire.")


class ApiKeyShown(Shown):
    id: UUID
    name: str
    prefix: str = Field(description="The key's first characters.")
    scopes: list[str]
    created_by: UUID | None
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None


class ApiKeyMade(ApiKeyShown):
    key: str | None = Field(description="The key itself, shown this once; null when the request is repeated.")


@guarded(router.get, "", "api-keys:read")
async def api_keys(parts: Parts, caller: CallerDep, paging: PagingDep) -> Page[ApiKeyShown]:
    """All keys, revoked ones too, newest first."""
    async with parts.database.organization(caller.organization_id) as session:
        page, following = await Repository(session, caller.organization_id, ApiKey).page(paging)
    return Page(items=[ApiKeyShown.model_validate(row) for row in page], next_cursor=following)


@guarded(router.post, "", "api-keys:write", status_code=201, response_model=ApiKeyMade, errors=(409,))
async def create(parts: Parts, caller: CallerDep, body: ApiKeyGiven, once: OnceDep) -> Response:
    """A new key. It cannot have scopes that its maker has not."""
    _check(body, caller.permissions, parts.clock.utc())

    async def work(session: AsyncSession) -> Answer:
        key, prefix, hashed = new_key()
        row = ApiKey(
            organization_id=caller.organization_id,
            name=body.name,
            prefix=prefix,
            key_hash=hashed,
            scopes=sorted(set(body.scopes)),
            created_by=caller.user_id,
            expires_at=body.expires_at,
        )
        session.add(row)
        await session.flush()
        audit.record(session, caller, "api-key.created", row.id, {"scopes": row.scopes})
        shown = ApiKeyShown.model_validate(row).model_dump()
        return Answer(ApiKeyMade(**shown, key=key), remembered=ApiKeyMade(**shown, key=None))

    return await once(work)


@guarded(router.delete, "/{keyId:uuid}", "api-keys:write", status_code=204, response_class=Response, errors=(404,))
async def revoke(parts: Parts, caller: CallerDep, key_id: KeyId) -> None:
    """Revoke a key. Other processes may take it for some seconds more."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await Repository(session, caller.organization_id, ApiKey).get(key_id, lock=True)
        if row is None:
            raise missing("API key")
        if row.revoked_at is None:
            row.revoked_at = parts.clock.utc()
            audit.record(session, caller, "api-key.revoked", row.id)
    parts.directory.forget_key(row.key_hash)


def _check(body: ApiKeyGiven, permissions: frozenset[str], now: datetime) -> None:
    for number, scope in enumerate(body.scopes):
        if scope not in SCOPES:
            raise invalid(f"/body/scopes/{number}", "It is not a scope; GET /permissions lists them.")
        if scope not in permissions:
            raise Problem("forbidden", f"You have not the permission {scope} yourself.")
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise invalid("/body/expiresAt", "It needs a time zone.")
    if body.expires_at is not None and body.expires_at <= now:
        raise invalid("/body/expiresAt", "It is in the past.")
