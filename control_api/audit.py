"""The audit log: who changed what, written in the transaction of the change."""

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.db.models.bookkeeping import AuditEntry
from control_api.identity.caller import Caller


def record(
    session: AsyncSession, caller: Caller, action: str, subject: object, details: Mapping[str, Any] | None = None
) -> None:
    """Note that ``caller`` did ``action`` (``agent.published``) to ``subject`` (its id)."""
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    session.add(
        AuditEntry(
            organization_id=caller.organization_id,
            actor=caller.name,
            action=action,
            subject=str(subject),
            details=dict(details or {}),
            request_id=request_id,
        )
    )
