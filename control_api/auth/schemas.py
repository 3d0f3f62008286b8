"""JSON of logging in."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from control_api.db.models.model import UserRole
from control_api.wire import Given, Shown, Text


class Login(Given):
    email: Annotated[Text, Field(min_length=3, max_length=320)]
    password: Annotated[Text, Field(min_length=1, max_length=1_024)]


class RefreshGiven(Given):
    refresh_token: Annotated[str, Field(min_length=1, max_length=4_096)]


class UserShown(Shown):
    id: UUID
    email: str
    organization_id: UUID
    role: UserRole


class Tokens(Shown):
    """A pair of tokens. The access token goes into `Authorization: Bearer`; the refresh token is good once."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds until the access token expires.")
    user: UserShown
