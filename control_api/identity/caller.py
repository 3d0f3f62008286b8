"""Who makes a request."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from control_api.db.models.model import UserRole
from control_api.identity.permissions import of_role

Doubt = Literal["", "database", "issuer"]
"""Which service was away when somebody was to be looked up: he is taken for who he was a while ago, and may read."""


@dataclass(frozen=True, slots=True)
class User:
    """A person, as the frontend's table has it."""

    id: UUID
    email: str
    organization_id: UUID
    role: UserRole
    doubt: Doubt = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a token or key belongs to."""

    kind: Literal["user", "key"]
    id: UUID
    organization_id: UUID
    permissions: frozenset[str]
    user: User | None = None
    doubt: Doubt = ""

    @property
    def name(self) -> str:
        """For logs, the audit log and idempotency keys."""
        return f"{self.kind}:{self.id}"

    @property
    def user_id(self) -> UUID | None:
        return self.user.id if self.user else None


def caller_of(user: User) -> Caller:
    return Caller("user", user.id, user.organization_id, of_role(user.role), user, user.doubt)
