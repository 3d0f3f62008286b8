"""Files, indices and homes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import NEW_ID, NOW, Json, Model, Timestamp


class FileMetadata(Model):
    __tablename__ = "file_metadata"

    __table_args__ = (Index("file_metadata_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    location: Mapped[str] = mapped_column(Text)
    created_by: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class VectorIndex(Model):
    __tablename__ = "vector_indices"

    __table_args__ = (
        Index("vector_indices_organization_id_name_key", "organization_id", "name", unique=True),
        Index("vector_indices_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(100))
    dimensions: Mapped[int] = mapped_column(Integer)
    configuration: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Property(Model):
    __tablename__ = "properties"

    __table_args__ = (
        Index("properties_organization_id_mls_id_key", "organization_id", "mls_id", unique=True),
        Index("properties_organization_id_created_at_id_idx", "organization_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=NEW_ID)
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    mls_id: Mapped[str | None] = mapped_column(String(50))
    address: Mapped[str] = mapped_column(Text)
    property_data: Mapped[Json] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
