"""What calls add up to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from control_api.db.models.model import SUM_PERIOD, Json, Model, SumPeriod, Timestamp


class AnalyticsCall(Model):
    __tablename__ = "analytics_calls"

    __table_args__ = (Index("analytics_calls_organization_id_idx", "organization_id"),)

    conversation_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("conversations.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    organization_id: Mapped[UUID] = mapped_column(Uuid)
    agent_id: Mapped[UUID] = mapped_column(Uuid)
    agent_version: Mapped[int] = mapped_column(Integer)
    amounts: Mapped[Json] = mapped_column(JSONB, server_default="{}")


class AnalyticsSum(Model):
    __tablename__ = "analytics_sums"

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    period: Mapped[SumPeriod] = mapped_column(SUM_PERIOD, primary_key=True)
    measure: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    agent_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    agent_version: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(String(50), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)
