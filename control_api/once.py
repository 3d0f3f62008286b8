"""``Idempotency-Key``: a POST that is repeated with the same key happens once, and is answered alike.

The key's row is written in the transaction of the work itself. A repetition that comes while the first one is still at
it waits for that row's lock, and then finds the answer, or, if the first one failed, does the work itself.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from control_api.db.models.bookkeeping import IdempotencyKey
from control_api.identity.caller import Caller
from control_api.operations import CallerDep
from control_api.parts import ControlParts, Parts
from control_api.problems import Problem

REPLAYED = "Idempotency-Replayed"


class Answer:
    """What a piece of work is answered with. ``remembered``: what a repetition gets instead, where ``shown`` holds a
    secret that must not be kept. ``about``: the conversation whose words are in it."""

    def __init__(
        self,
        shown: BaseModel,
        status: int = 201,
        headers: dict[str, str] | None = None,
        remembered: BaseModel | None = None,
        about: UUID | None = None,
    ) -> None:
        self.shown, self.status, self.headers = shown, status, headers or {}
        self.remembered, self.about = remembered or shown, about


Work = Callable[[AsyncSession], Awaitable[Answer]]


class Once:
    """Does work in one transaction of the caller's organisation, and at most once for a key."""

    def __init__(self, parts: ControlParts, caller: Caller, request: Request, key: str | None) -> None:
        self._parts, self._caller, self._request, self._key = parts, caller, request, key

    async def __call__(self, work: Work) -> Response:
        """The answer to ``work``, or to the same request when it was made before.

        Raises:
            Problem: ``key_reused``, the key belongs to another request; or whatever ``work`` raises, which undoes it.
        """
        async with self._parts.database.organization(self._caller.organization_id) as session:
            if self._key is None:
                return _response(await work(session))
            fingerprint = await self._fingerprint()
            if not await self._reserve(session, self._key, fingerprint):
                return await self._replay(session, self._key, fingerprint)
            answer = await work(session)
            await self._keep(session, self._key, answer)
            return _response(answer)

    async def _fingerprint(self) -> bytes:
        request = self._request
        described = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
        return hashlib.sha256(described + await request.body()).digest()

    async def _reserve(self, session: AsyncSession, key: str, fingerprint: bytes) -> bool:
        statement = (
            insert(IdempotencyKey)
            .values(
                organization_id=self._caller.organization_id,
                caller=self._caller.name,
                key=key,
                fingerprint=fingerprint,
            )
            .on_conflict_do_nothing()
            .returning(IdempotencyKey.key)
        )
        return await session.scalar(statement) is not None

    async def _replay(self, session: AsyncSession, key: str, fingerprint: bytes) -> Response:
        row = await session.scalar(select(IdempotencyKey).where(*self._is(key)))
        if row is None:  # it was cleaned away between the two statements
            raise Problem("conflict", "Send it again.")
        if row.fingerprint != fingerprint:
            raise Problem("key_reused", "Take a new Idempotency-Key for a new request.")
        headers = {**row.headers, REPLAYED: "true"}
        return Response(row.body, row.status, headers, "application/json")

    async def _keep(self, session: AsyncSession, key: str, answer: Answer) -> None:
        await session.execute(
            update(IdempotencyKey)
            .where(*self._is(key))
            .values(status=answer.status, headers=answer.headers, body=_json(answer.remembered), about=answer.about)
        )

    def _is(self, key: str) -> tuple[ColumnElement[bool], ...]:
        return (
            IdempotencyKey.organization_id == self._caller.organization_id,
            IdempotencyKey.caller == self._caller.name,
            IdempotencyKey.key == key,
        )


def _json(body: BaseModel) -> bytes:
    return body.model_dump_json().encode()


def _response(answer: Answer) -> Response:
    return Response(_json(answer.shown), answer.status, answer.headers, "application/json")


async def _once(
    parts: Parts,
    caller: CallerDep,
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your choice; a repetition with the same key does nothing and is answered alike.",
        ),
    ] = None,
) -> Once:
    return Once(parts, caller, request, idempotency_key)


OnceDep = Annotated[Once, Depends(_once)]
