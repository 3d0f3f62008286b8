"""What an organisation is told of, noted in the transaction in which it happens.

A fact is a row of the outbox; it is brought to Redis when the transaction is committed, and from there to whoever
listens. So nothing is told that did not happen, and nothing that happened is left out.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from control_api.db.models.bookkeeping import OutboxEntry

TOPIC: Final = "notification"

KINDS: Final[Mapping[str, str]] = {
    "conversation.started": "conversations:read",
    "conversation.ended": "conversations:read",
    "conversation.notice": "conversations:read",
    "agent.published": "agents:read",
    "credits.low": "credits:read",
    "service": "notifications:read",
}
"""Kind: the permission that one needs to be told. ``service``: something that the API needs is away, or back."""


def note(session: AsyncSession, organization_id: UUID, kind: str, data: Mapping[str, Any]) -> None:
    """Tell everybody of the organisation who may know."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of notification")
    session.add(OutboxEntry(topic=TOPIC, key=str(organization_id), payload={"kind": kind, "data": dict(data)}))
