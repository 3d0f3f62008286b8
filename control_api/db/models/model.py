"""What all models share. They follow ``prisma/schema.prisma``, which is the source of truth; a test compares them."""

from typing import Any, Literal, TypeAlias

from sqlalchemy import DateTime, Enum, MetaData, func, text
from sqlalchemy.orm import DeclarativeBase

Json: TypeAlias = Any
Timestamp = DateTime(timezone=True)
NOW = func.current_timestamp()
NEW_ID = text("gen_random_uuid()")


class Model(DeclarativeBase):
    """Root of the models; constraints have the names that Prisma gives them."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        }
    )


UserRole: TypeAlias = Literal["owner", "admin", "developer", "agent", "analyst", "billing"]
USER_ROLE = Enum("owner", "admin", "developer", "agent", "analyst", "billing", name="user_role", create_type=False)

ConversationStatus: TypeAlias = Literal["active", "ended", "failed", "erased"]
CONVERSATION_STATUS = Enum("active", "ended", "failed", "erased", name="conversation_status", create_type=False)

AgentStatus: TypeAlias = Literal["draft", "published", "archived"]
AGENT_STATUS = Enum("draft", "published", "archived", name="agent_status", create_type=False)

RunStatus: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]
RUN_STATUS = Enum("queued", "running", "succeeded", "failed", "cancelled", name="run_status", create_type=False)

TurnState: TypeAlias = Literal["listening", "speaking", "finished", "interrupted"]
TURN_STATE = Enum("listening", "speaking", "finished", "interrupted", name="turn_state", create_type=False)

LedgerAccountKind: TypeAlias = Literal["available", "held", "spent", "granted", "owed"]
LEDGER_ACCOUNT_KIND = Enum(
    "available", "held", "spent", "granted", "owed", name="ledger_account_kind", create_type=False
)

HoldState: TypeAlias = Literal["open", "settled", "released"]
HOLD_STATE = Enum("open", "settled", "released", name="hold_state", create_type=False)

SumPeriod: TypeAlias = Literal["hour", "day"]
SUM_PERIOD = Enum("hour", "day", name="sum_period", create_type=False)
