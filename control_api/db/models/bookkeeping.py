"""Outbox, idempotency keys, audit log."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import NOW, Json, Model, Timestamp


class OutboxEntry(Model):
    __tablename__ = "outbox"

    __table_args__ = (Index("outbox_delivered_at_id_idx", "delivered_at", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    topic: Mapped[str] = mapped_column(String(50))
    key: Mapped[str] = mapped_column(String(100))
    payload: Mapped[Json] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    delivered_at: Mapped[datetime | None] = mapped_column(Timestamp)


class IdempotencyKey(Model):
    __tablename__ = "idempotency_keys"

    __table_args__ = (
        Index("idempotency_keys_created_at_idx", "created_at"),
        Index("idempotency_keys_about_idx", "about"),
    )

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    caller: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(Integer, server_default="0")
    headers: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    about: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class AuditEntry(Model):
    __tablename__ = "audit_log"

    __table_args__ = (Index("audit_log_organization_id_at_id_idx", "organization_id", "at", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(100))
    details: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    request_id: Mapped[str] = mapped_column(String(64), server_default="")
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
