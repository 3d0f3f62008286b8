"""Lists by cursor: newest first, stable while rows are added, with no query whose cost grows with the page's number."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from fastapi import Depends, Query
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from control_api.problems import Problem

MAX_LIMIT = 100
T = TypeVar("T")


class _Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last row of the page before: when it was made, its id."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Paging:
    """What part of a list is wanted."""

    limit: int
    after: _Position | None

    def apply(
        self,
        statement: Select[T],
        at: InstrumentedAttribute[Any],
        row_id: InstrumentedAttribute[Any],
    ) -> Select[T]:
        """The statement, ordered and cut; one row more than the limit tells whether there is another page."""
        if self.after is not None:
            statement = statement.where(tuple_(at, row_id) < tuple_(self.after.at, self.after.id))
        return statement.order_by(at.desc(), row_id.desc()).limit(self.limit + 1)

    def cut(self, rows: Sequence[T], position: Callable[[T], tuple[datetime, UUID]]) -> tuple[Sequence[T], str | None]:
        """The page's rows, and the cursor of the next page."""
        page = rows[: self.limit]
        return page, cursor(*position(page[-1])) if len(rows) > self.limit else None


def cursor(at: datetime, row_id: UUID) -> str:
    """Opaque to clients."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Position(at, row_id))).rstrip(b"=").decode()


def _read(text: str) -> _Position:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        position = msgspec.json.decode(data, type=_Position)
    except (binascii.Error, ValueError) as error:
        raise Problem("bad_cursor", "Take the cursor as nextCursor gave it.") from error
    if position.at.tzinfo is None:
        raise Problem("bad_cursor", "Take the cursor as nextCursor gave it.")
    return position


def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of the page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`nextCursor` of the page before.")] = None,
) -> Paging:
    return Paging(limit, _read(cursor) if cursor else None)


PagingDep = Annotated[Paging, Depends(_paging)]
