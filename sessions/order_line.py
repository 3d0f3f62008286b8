"""The way of an order to a live call: a request and its answer, by Redis, to the process that holds the session.

The sender looks up who holds the session and publishes to that process; the answer comes on a list of its own. A call
that moves meanwhile is looked up again until the wait is over. An order has an id: the process that carries it out
claims it in Redis first, so that it is done at most once, a repetition is answered alike, and an order whose sender has
given up is not done at all.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Annotated, Final, Self, TypeAlias, cast

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from sessions import scripts
from sessions.config import Config
from sessions.connection import AWAY, end, state_errors
from sessions.keys import order_answer_key, order_channel, order_key, session_keys
from sessions.orders import KEY_REUSED, NO_ANSWER, NOT_LIVE, Order, Outcome, Transfer
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import StateUnavailable
from voicegate.kernel.ids import new_session_id

WAIT_S: Final = 2.0
"""Longest wait for an answer ..."""
TRANSFER_WAIT_S: Final = 7.0
"""... and to a transfer: a carrier's REST API has five seconds."""
KEPT_S: Final = 24 * 3600
"""How long an outcome is remembered for a repetition of the order's id."""
MAX_MESSAGE_BYTES: Final = 32 * 1024
_ANSWER_KEPT_S: Final = 30
_AGAIN_S: Final = 0.1
_LISTEN_S: Final = 0.5
_AT_ONCE: Final = 64
"""Orders that one process carries out at once; more are not taken, and their senders are not answered."""
_MOVED: Final = "moved"
_CLAIMED: Final = b"claimed"

_log = logging.getLogger(__name__)


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What is published."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    session: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    order: Order
    answer_to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    until_ms: int
    """Nobody waits for it after this time of Redis' clock."""


Perform: TypeAlias = Callable[[str, Order], Awaitable[Outcome | None]]
"""Carries out an order to a session. None: the session is not here."""

_CLAIM = scripts.Script(
    """
-- KEYS order; ARGV until_ms kept_ms
local outcome = redis.call('GET', KEYS[1])
if outcome then return outcome end
local clock = redis.call('TIME')
if clock[1] * 1000 + math.floor(clock[2] / 1000) > tonumber(ARGV[1]) then return 'late' end
redis.call('SET', KEYS[1], 'claimed', 'PX', ARGV[2])
return 'yours'
"""
)
_encode, _request = msgspec.json.Encoder().encode, msgspec.json.Decoder(Request)
_outcome = msgspec.json.Decoder(Outcome)


class _Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an id's order."""

    outcome: Outcome
    digest: str
    """Of the order: the words themselves are not kept."""


_remembered = msgspec.json.Decoder(_Remembered)


def _digest(order: Order) -> str:
    return hashlib.sha256(_encode(order)).hexdigest()[:32]


def _of_before(found: bytes, order: Order) -> Outcome:
    """The answer to an id that came before."""
    remembered = _remembered.decode(found)
    if remembered.digest != _digest(order):
        return KEY_REUSED
    return msgspec.structs.replace(remembered.outcome, repeated=True)


class Orders:
    """The sender's side. ``client`` should be its own: each order waits in a connection of it."""

    def __init__(self, client: Redis, config: Config, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._look_s = config.redis_timeout_s / 2
        """One look for the answer must be shorter than what the client takes for an outage."""

    async def send(self, session_id: str, order: Order, order_id: str = "", *, wait_s: float | None = None) -> Outcome:
        """Have the order carried out, wherever the session is. ``order_id`` is good for one order to this session.

        Raises:
            StateUnavailable: Redis is away; the order may have been done.
        """
        order_id = order_id or new_session_id()
        if wait_s is None:
            wait_s = TRANSFER_WAIT_S if isinstance(order, Transfer) else WAIT_S
        deadline = self._clock.monotonic() + wait_s
        while (left_s := deadline - self._clock.monotonic()) > 0:
            with state_errors():
                found = await self._look(session_id, order_id, order)
            if isinstance(found, Outcome):
                return found
            owner, now_ms = found
            answer_to = new_session_id()
            request = Request(order_id, session_id, order, answer_to, now_ms + round(left_s * 1000))
            with state_errors():
                heard = await self._client.publish(order_channel(owner), _encode(request))
            if heard:
                outcome = await self._answer(answer_to, deadline)
                if outcome is None or outcome.code != _MOVED:
                    return outcome or NO_ANSWER
            await asyncio.sleep(_AGAIN_S)  # it moves, or its process is finding its way back to Redis
        return NOT_LIVE

    async def _look(self, session_id: str, order_id: str, order: Order) -> Outcome | tuple[str, int]:
        """What became of it before; else who holds the session, and the time of Redis."""
        keys = session_keys(session_id)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.get(order_key(session_id, order_id))
            pipe.hmget(keys.session, "status", "owner")
            pipe.exists(keys.lease)
            pipe.time()
            known, (status, owner), held, (seconds, micros) = await pipe.execute()
        if known and known != _CLAIMED:
            return _of_before(known, order)
        if status != b"live" or not held or not owner:
            return NOT_LIVE
        return owner.decode(), seconds * 1000 + micros // 1000

    async def _answer(self, answer_to: str, deadline: float) -> Outcome | None:
        while (left_s := deadline - self._clock.monotonic()) > 0:
            with state_errors():
                found = await self._client.blpop([order_answer_key(answer_to)], timeout=min(left_s, self._look_s))
            if found:
                return _outcome.decode(cast(tuple[bytes, bytes], found)[1])
        return None


class OrderLine:
    """The receiver's side: takes the orders to this process's sessions. Use as an async context manager.

    It waits in a connection of ``client``, finds its way back to a Redis that was away, and carries each order out in
    a task of its own.
    """

    def __init__(self, client: Redis, owner: str, perform: Perform) -> None:
        """``owner`` is the name under which this process takes leases."""
        self._client, self._perform = client, perform
        self._channel = order_channel(owner)
        self._tasks = asyncio.TaskGroup()
        self._listening: asyncio.Task[None] | None = None
        self._busy = 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._listening = self._tasks.create_task(self._listen_forever(), name="orders")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._listening is not None:
                await end([self._listening])
        finally:
            await self._tasks.__aexit__(kind, error, trace)

    async def _listen_forever(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as line:
                    await line.subscribe(self._channel)
                    await self._listen(line)
            except AWAY as error:
                # The journal notices the same and says so once.
                _log.debug("orders not heard: %s", error or type(error).__name__)
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self, line: PubSub) -> None:
        asked = False
        while True:
            message = await line.get_message(timeout=_LISTEN_S)
            if message is None:
                if asked:
                    raise TimeoutError("Redis does not answer")
                await line.ping()
            elif message["type"] == "message":
                self._hear(message["data"])
            asked = message is None

    def _hear(self, data: bytes) -> None:
        if len(data) > MAX_MESSAGE_BYTES or self._busy >= _AT_ONCE:
            _log.warning("an order of %d bytes is not taken, %d are being carried out", len(data), self._busy)
            return
        self._busy += 1
        self._tasks.create_task(self._take(data), name="order").add_done_callback(self._done)

    def _done(self, _: asyncio.Task[None]) -> None:
        self._busy -= 1

    async def _take(self, data: bytes) -> None:
        try:
            await self._claim(_request.decode(data))
        except msgspec.MsgspecError:
            _log.warning("an order is not understood")
        except StateUnavailable:
            _log.warning("an order could not be claimed or answered: Redis is away")

    async def _claim(self, request: Request) -> None:
        claim = scripts.Call(_CLAIM, (order_key(request.session, request.id),), (request.until_ms, KEPT_S * 1000))
        with state_errors():
            found = cast(bytes, await scripts.run(self._client, claim))
        match found:
            case b"yours":
                await self._carry_out(request)
            case b"late" | b"claimed":  # its sender has given up, or whoever took it is at it
                pass
            case _:
                await self._answer(request.answer_to, _of_before(found, request.order))

    async def _carry_out(self, request: Request) -> None:
        key = order_key(request.session, request.id)
        try:
            outcome = await self._perform(request.session, request.order)
        except Exception:
            _log.exception("an order failed")
            outcome = Outcome("refused", "failed", "The gateway failed at it; its log says why.")
        if outcome is None:  # whoever has the session now may claim it
            with state_errors():
                await self._client.delete(key)
            await self._answer(request.answer_to, Outcome("refused", _MOVED))
            return
        with state_errors():
            await self._client.set(key, _encode(_Remembered(outcome, _digest(request.order))), ex=KEPT_S)
        await self._answer(request.answer_to, outcome)

    async def _answer(self, answer_to: str, outcome: Outcome) -> None:
        key = order_answer_key(answer_to)
        with state_errors():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.rpush(key, _encode(outcome))
                pipe.expire(key, _ANSWER_KEPT_S)
                await pipe.execute()
