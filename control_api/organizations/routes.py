"""``/organizations``: the caller's own organisation and who is in it. Memberships are the frontend's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from control_api import audit
from control_api.db.models.model import UserRole
from control_api.db.models.people import Organization
from control_api.db.models.people import User as UserRow
from control_api.db.repository import Repository
from control_api.operations import CallerDep, guarded
from control_api.paging import PagingDep
from control_api.parts import Parts
from control_api.problems import missing
from control_api.revisions import IfMatch, content_tag, expect_content
from control_api.wire import Given, Moment, Name, Page, Shown

router = APIRouter(prefix="/organizations", tags=["organizations"])

OrganizationId = Annotated[UUID, Path(alias="organizationId")]


class OrganizationShown(Shown):
    id: UUID
    name: str
    created_at: Moment


class OrganizationChange(Given):
    name: Name


class MemberShown(Shown):
    id: UUID
    email: str
    role: UserRole
    created_at: Moment


@guarded(router.get, "", "organization:read")
async def organizations(parts: Parts, caller: CallerDep) -> Page[OrganizationShown]:
    """The organisations that the caller belongs to: one."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await session.get(Organization, caller.organization_id)
    return Page(items=[OrganizationShown.model_validate(row)] if row else [])


@guarded(router.get, "/{organizationId:uuid}", "organization:read", errors=(404,))
async def organization(
    parts: Parts, caller: CallerDep, organization_id: OrganizationId, response: Response
) -> OrganizationShown:
    """One organisation."""
    async with parts.database.organization(_own(caller.organization_id, organization_id)) as session:
        row = await session.get(Organization, organization_id)
    if row is None:
        raise missing("organisation")
    shown = OrganizationShown.model_validate(row)
    response.headers["ETag"] = content_tag(shown)
    return shown


@guarded(router.patch, "/{organizationId:uuid}", "organization:write", errors=(404, 412, 428))
async def rename(
    parts: Parts,
    caller: CallerDep,
    organization_id: OrganizationId,
    body: OrganizationChange,
    response: Response,
    if_match: IfMatch = None,
) -> OrganizationShown:
    """Change its name."""
    async with parts.database.organization(_own(caller.organization_id, organization_id)) as session:
        row = await session.get(Organization, organization_id, with_for_update=True)
        if row is None:
            raise missing("organisation")
        expect_content(if_match, OrganizationShown.model_validate(row))
        row.name = body.name
        audit.record(session, caller, "organization.renamed", row.id)
    shown = OrganizationShown.model_validate(row)
    response.headers["ETag"] = content_tag(shown)
    return shown


@guarded(router.get, "/{organizationId:uuid}/members", "members:read", errors=(404,))
async def members(
    parts: Parts, caller: CallerDep, organization_id: OrganizationId, paging: PagingDep
) -> Page[MemberShown]:
    """Its users, newest first."""
    async with parts.database.organization(_own(caller.organization_id, organization_id)) as session:
        page, following = await Repository(session, organization_id, UserRow).page(paging)
    return Page(items=[MemberShown.model_validate(row) for row in page], next_cursor=following)


def _own(mine: UUID, wanted: UUID) -> UUID:
    if mine != wanted:
        raise missing("organisation")
    return mine
