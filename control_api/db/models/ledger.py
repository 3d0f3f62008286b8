"""The ledger."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Date, Double, ForeignKey, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import (
    HOLD_STATE,
    LEDGER_ACCOUNT_KIND,
    NEW_ID,
    NOW,
    HoldState,
    LedgerAccountKind,
    Model,
    Timestamp,
)


class UserCredits(Model):
    __tablename__ = "user_credits"

    __table_args__ = (Index("user_credits_organization_id_idx", "organization_id"),)

    user_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    monthly_limit: Mapped[int | None] = mapped_column(BigInteger)
    plan: Mapped[str] = mapped_column(String(50), server_default="")
    used_micro: Mapped[int] = mapped_column(BigInteger, server_default="0")
    used_since: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    organization_id: Mapped[UUID] = mapped_column(Uuid)


class LedgerAccount(Model):
    __tablename__ = "ledger_accounts"

    __table_args__ = (Index("ledger_accounts_organization_id_kind_key", "organization_id", "kind", unique=True),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[LedgerAccountKind] = mapped_column(LEDGER_ACCOUNT_KIND)
    balance_micro: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class LedgerTransfer(Model):
    __tablename__ = "ledger_transfers"

    __table_args__ = (
        Index("ledger_transfers_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("ledger_transfers_hold_id_idx", "hold_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(String(50))
    hold_id: Mapped[UUID | None] = mapped_column(
        Uuid, ForeignKey("credit_holds.id", ondelete="RESTRICT", onupdate="CASCADE")
    )
    reason: Mapped[str] = mapped_column(Text, server_default="")
    created_by: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class LedgerEntry(Model):
    __tablename__ = "ledger_entries"

    __table_args__ = (
        Index("ledger_entries_organization_id_id_idx", "organization_id", "id"),
        Index("ledger_entries_transfer_id_idx", "transfer_id"),
        Index("ledger_entries_account_id_id_idx", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    transfer_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("ledger_transfers.id", ondelete="RESTRICT", onupdate="CASCADE")
    )
    account_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("ledger_accounts.id", ondelete="RESTRICT", onupdate="CASCADE")
    )
    amount_micro: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class CreditHold(Model):
    __tablename__ = "credit_holds"

    __table_args__ = (
        Index("credit_holds_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("credit_holds_state_created_at_idx", "state", "created_at"),
        Index("credit_holds_session_id_began_at_key", "session_id", "began_at", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    session_id: Mapped[str] = mapped_column(String(64))
    began_at: Mapped[datetime | None] = mapped_column(Timestamp)
    agent_id: Mapped[UUID | None] = mapped_column(Uuid)
    state: Mapped[HoldState] = mapped_column(HOLD_STATE, server_default="open")
    held_micro: Mapped[int] = mapped_column(BigInteger)
    used_micro: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    settled_at: Mapped[datetime | None] = mapped_column(Timestamp)


class HoldUsage(Model):
    __tablename__ = "hold_usage"

    __table_args__ = (Index("hold_usage_organization_id_at_idx", "organization_id", "at"),)

    hold_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("credit_holds.id", ondelete="RESTRICT", onupdate="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    stage: Mapped[str] = mapped_column(String(20))
    provider: Mapped[str] = mapped_column(String(50))
    unit: Mapped[str] = mapped_column(String(20))
    quantity: Mapped[float] = mapped_column(Double)
    cost_micro: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Timestamp)


class UsageDay(Model):
    __tablename__ = "usage_days"

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    agent_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    stage: Mapped[str] = mapped_column(String(20), primary_key=True)
    provider: Mapped[str] = mapped_column(String(50), primary_key=True)
    unit: Mapped[str] = mapped_column(String(20), primary_key=True)
    quantity_milli: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost_micro: Mapped[int] = mapped_column(BigInteger, server_default="0")
