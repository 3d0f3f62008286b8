"""Tables of the frontend, which the control API only reads."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, BigInteger, ForeignKey, Index, SmallInteger, String, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import NEW_ID, NOW, Json, Model, Timestamp


class SocialConnection(Model):
    __tablename__ = "social_connections"

    __table_args__ = (
        Index("social_connections_provider_external_id_key", "provider", "external_id", unique=True),
        Index("social_connections_user_id_idx", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    provider: Mapped[str] = mapped_column(String(50))
    external_id: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Notification(Model):
    __tablename__ = "notifications"

    __table_args__ = (Index("notifications_user_id_created_at_idx", "user_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    kind: Mapped[str] = mapped_column(String(50))
    payload: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    read_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Subscription(Model):
    __tablename__ = "subscriptions"

    __table_args__ = (
        Index("subscriptions_user_id_idx", "user_id"),
        Index("subscriptions_external_id_key", "external_id", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    plan: Mapped[str] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(50))
    external_id: Mapped[str | None] = mapped_column(Text)
    starts_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    ends_at: Mapped[datetime | None] = mapped_column(Timestamp)


class Payment(Model):
    __tablename__ = "payments"

    __table_args__ = (
        Index("payments_user_id_created_at_idx", "user_id", "created_at"),
        Index("payments_external_id_key", "external_id", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(CHAR(3))
    status: Mapped[str] = mapped_column(String(50))
    external_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Comment(Model):
    __tablename__ = "comments"

    __table_args__ = (
        Index("comments_user_id_idx", "user_id"),
        Index("comments_subject_subject_id_created_at_idx", "subject", "subject_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    subject: Mapped[str] = mapped_column(String(50))
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Reaction(Model):
    __tablename__ = "reactions"

    __table_args__ = (
        Index("reactions_user_id_subject_subject_id_kind_key", "user_id", "subject", "subject_id", "kind", unique=True),
        Index("reactions_subject_subject_id_idx", "subject", "subject_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    subject: Mapped[str] = mapped_column(String(50))
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(String(50))
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Rating(Model):
    __tablename__ = "ratings"

    __table_args__ = (
        Index("ratings_user_id_subject_subject_id_key", "user_id", "subject", "subject_id", unique=True),
        Index("ratings_subject_subject_id_idx", "subject", "subject_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    subject: Mapped[str] = mapped_column(String(50))
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    stars: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
