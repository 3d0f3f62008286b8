"""``/permissions``: what roles may do, and what the caller may."""

from fastapi import APIRouter

from control_api.db.models.model import UserRole
from control_api.identity.permissions import PERMISSIONS, ROLES, SCOPES
from control_api.operations import CallerDep, guarded
from control_api.wire import Shown

router = APIRouter(prefix="/permissions", tags=["permissions"])


class PermissionsShown(Shown):
    permissions: dict[str, list[UserRole]]
    scopes: list[str]
    mine: list[str]


@guarded(router.get, "", "permissions:read")
async def permissions(caller: CallerDep) -> PermissionsShown:
    """The whole table, the scopes that an API key may have, and the caller's own permissions."""
    table = {name: [role for role in ROLES if role in roles] for name, roles in PERMISSIONS.items()}
    return PermissionsShown(permissions=table, scopes=list(SCOPES), mine=sorted(caller.permissions))
