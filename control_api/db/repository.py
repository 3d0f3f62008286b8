"""Rows of one organisation.

Every query says the organisation itself; row-level security underneath would catch the one that forgot.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from control_api.db.models.model import Model
from control_api.paging import Paging

M = TypeVar("M", bound=Model)


class Repository(Generic[M]):
    """Reads rows of ``model``, which must have ``id`` and ``organization_id``."""

    def __init__(self, session: AsyncSession, organization_id: UUID, model: type[M]) -> None:
        self._session, self._model = session, model
        self._ours = _column(model, "organization_id") == organization_id

    async def get(self, row_id: UUID, *, lock: bool = False) -> M | None:
        """The row, or None if it is unknown or another organisation's. ``lock``: it will be changed."""
        wanted = select(self._model).where(_column(self._model, "id") == row_id, self._ours)
        if lock:
            wanted = wanted.with_for_update()
        return await self._session.scalar(wanted)

    async def page(
        self, paging: Paging, *conditions: ColumnElement[bool], at: str = "created_at"
    ) -> tuple[Sequence[M], str | None]:
        """One page, newest by ``at`` first, and the cursor of the next."""
        wanted = select(self._model).where(self._ours, *conditions)
        cut = paging.apply(wanted, _column(self._model, at), _column(self._model, "id"))
        rows = list(await self._session.scalars(cut))
        return paging.cut(rows, lambda row: _position(row, at))


def _column(model: type[Model], name: str) -> InstrumentedAttribute[Any]:
    return cast(InstrumentedAttribute[Any], getattr(model, name))


def _position(row: Any, at: str) -> tuple[datetime, UUID]:
    return getattr(row, at), row.id
