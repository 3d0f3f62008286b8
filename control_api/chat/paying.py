"""What a chat's answer costs: a hold before it, what it used after it. In the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from control_api.chat.keeping import Begun
from control_api.chat.telling import Telling
from control_api.conversations.keeping import Belongs, Kept
from control_api.conversations.story import Story
from control_api.credits.charging import Charged
from control_api.credits.service import CreditService
from control_api.identity.caller import Caller
from control_api.parts import ControlParts
from sessions.agents import AgentSnapshot


async def set_aside(
    parts: ControlParts, session: AsyncSession, caller: Caller, snapshot: AgentSnapshot, begun: Begun, now: datetime
) -> None:
    """Raises Problem: ``insufficient_credits``."""
    if parts.config.credits.enabled:
        service = CreditService(session, caller, parts.config.credits)
        await service.hold(hold_name(begun), UUID(snapshot.id), now)


async def settle(
    parts: ControlParts,
    session: AsyncSession,
    snapshot: AgentSnapshot,
    begun: Begun,
    telling: Telling,
    began_at: datetime,
    now: datetime,
) -> Charged:
    """Book what was used; ``parts.bookkeeper.tell`` when it is committed."""
    story = Story()
    story.end("answered", now)
    belongs = Belongs(UUID(snapshot.organization_id), UUID(snapshot.id), snapshot.version or None)
    kept = Kept(hold_name(begun), belongs, began_at, None, story)
    for used in telling.usage:
        kept.meter.apply(used)
    return await parts.bookkeeper.charge(session, [kept])


def hold_name(begun: Begun) -> str:
    """What its hold is called."""
    return f"chat-{begun.conversation_id}-{begun.turn}"
