"""Who there is: organisations, users, passwords, logins, API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import NEW_ID, NOW, USER_ROLE, Json, Model, Timestamp, UserRole


class Organization(Model):
    __tablename__ = "organizations"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class User(Model):
    __tablename__ = "users"

    __table_args__ = (
        Index("users_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("users_email_key", "email", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    email: Mapped[str] = mapped_column(Text)
    organization_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("organizations.id", ondelete="CASCADE", onupdate="CASCADE")
    )
    role: Mapped[UserRole] = mapped_column(USER_ROLE, server_default="agent")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Profile(Model):
    __tablename__ = "profiles"

    user_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    display_name: Mapped[str] = mapped_column(Text, server_default="")
    avatar_url: Mapped[str | None] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(String(16), server_default="en")
    time_zone: Mapped[str] = mapped_column(String(64), server_default="UTC")
    settings: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Credentials(Model):
    __tablename__ = "credentials"

    user_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    password_hash: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class TokenFamily(Model):
    __tablename__ = "token_families"

    __table_args__ = (
        Index("token_families_user_id_idx", "user_id"),
        Index("token_families_expires_at_idx", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"))
    serial: Mapped[int] = mapped_column(Integer, server_default="1")
    last_answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    rotated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)
    revoked_for: Mapped[str] = mapped_column(String(50), server_default="")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class ApiKey(Model):
    __tablename__ = "api_keys"

    __table_args__ = (
        Index("api_keys_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
        Index("api_keys_key_hash_key", "key_hash", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(20))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), nullable=True)
    created_by: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)
