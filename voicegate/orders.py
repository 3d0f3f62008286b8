"""What this process does when it is given an order to one of its calls, and what agents may do with theirs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

import structlog

from gateway.phone.line_orders import PhoneOrders
from sessions.config import Config as StateConfig
from sessions.connection import open_client
from sessions.order_line import OrderLine, Orders
from sessions.orders import DONE, End, HandOff, HangUp, Inject, Mute, Order, Outcome, PressKeys, Say, Transfer, Unmute
from voicegate.call import Call
from voicegate.calls import CallRegistry
from voicegate.casting import Cast
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import ProviderError, RefusedCall, StateUnavailable

TakeOver = Callable[[str, str], Awaitable[Cast]]
"""What a call goes on with that is handed to an agent (its id) of an organisation (its id). Raises RefusedCall."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_orders(redis_url: str, config: StateConfig, clock: Clock) -> AsyncIterator[Orders]:
    """The sender's side, with connections of its own: each order waits in one."""
    client = open_client(redis_url, config)
    try:
        yield Orders(client, config, clock)
    finally:
        await client.aclose()


@asynccontextmanager
async def obeying(
    redis_url: str, config: StateConfig, calls: CallRegistry, take_over: TakeOver, phones: PhoneOrders
) -> AsyncIterator[None]:
    """While entered, orders to this process's calls are carried out, and agents may use their telephones."""
    calls.control_of = lambda session_id: Telephone(phones, session_id)
    client = open_client(redis_url, config)
    try:
        async with OrderLine(client, calls.owner, Obedience(calls, take_over, phones)):
            yield
    finally:
        await client.aclose()


@dataclass(frozen=True, slots=True)
class Telephone:
    """See :class:`pipeline.ports.CallControl`."""

    phones: PhoneOrders
    session_id: str

    @property
    def on_a_phone(self) -> bool:
        return self.phones.holds(self.session_id)

    async def transfer(self, number: str) -> None:
        await self.phones.transfer(self.session_id, number)

    async def press_keys(self, digits: str) -> None:
        self.phones.press_keys(self.session_id, digits)


@dataclass(frozen=True, slots=True)
class Obedience:
    """Carries orders out: :data:`sessions.order_line.Perform`."""

    calls: CallRegistry
    take_over: TakeOver
    phones: PhoneOrders

    async def __call__(self, session_id: str, order: Order) -> Outcome | None:
        """None: the session is not here."""
        call = self.calls.find(session_id)
        if call is None:
            return None
        try:
            await self._obey(call, session_id, order)
        except (RefusedCall, StateUnavailable) as refusal:
            return Outcome("refused", refusal.code, str(refusal))
        except ProviderError as error:
            _log.warning("a carrier did not do what it was asked", provider=error.provider, error=str(error))
            return Outcome("refused", "carrier_failed", str(error))
        _log.info("order_done", session_id=session_id, order=type(order).__name__)
        return DONE

    async def _obey(self, call: Call, session_id: str, order: Order) -> None:
        session = call.session
        match order:
            case Say():
                session.say(order.text, interrupt=order.interrupt)
            case Inject():
                session.inject(order.text)
            case Mute() | Unmute():
                session.mute(muted=isinstance(order, Mute))
            case HandOff():
                cast = await self.take_over(order.agent_id, order.organization_id)
                session.hand_off(cast.engines.agent, cast.config, order.agent_id)
            case End(last_words=""):
                call.hang_up(order.reason)
            case End():
                session.say_last(order.last_words, order.reason)
            case Transfer():
                await self.phones.transfer(session_id, order.to, order.our_url)
            case PressKeys():
                self.phones.press_keys(session_id, order.digits)
            case HangUp():
                self.phones.hang_up(session_id)
            case _:
                assert_never(order)
