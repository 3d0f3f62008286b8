"""``/users/profile``: who I am. Users and profiles are the frontend's; we read them."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select

from control_api.auth.schemas import UserShown
from control_api.db.models.people import Profile
from control_api.operations import CallerDep, guarded
from control_api.parts import Parts
from control_api.problems import missing
from control_api.wire import Moment, Shown

router = APIRouter(prefix="/users", tags=["users"])


class ProfileShown(Shown):
    user: UserShown
    display_name: str = ""
    avatar_url: str | None = None
    locale: str = "en"
    time_zone: str = "UTC"
    settings: dict[str, Any] = Field(default_factory=dict)
    updated_at: Moment | None = None
    permissions: list[str]


@guarded(router.get, "/profile", "profile:read", errors=(404,))
async def profile(parts: Parts, caller: CallerDep) -> ProfileShown:
    """The user of the token, and what he may do."""
    if caller.user is None:
        raise missing("user of this key")
    async with parts.database.organization(caller.organization_id) as session:
        row = await session.scalar(select(Profile).where(Profile.user_id == caller.user.id))
    known = {} if row is None else {name: getattr(row, name) for name in _OF_PROFILE}
    return ProfileShown(user=UserShown.model_validate(caller.user), permissions=sorted(caller.permissions), **known)


_OF_PROFILE = ("display_name", "avatar_url", "locale", "time_zone", "settings", "updated_at")
