"""What both profiles share: receive until somebody decides the end, tick 20 ms, watch the call, part in order."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from gateway.close_codes import CloseCode
from gateway.metronome import Metronome
from gateway.websocket.ending import Ending, Exit, ending_for, ending_of_call
from gateway.websocket.limits import SocketLimits
from gateway.websocket.link import BinaryMessage, Goodbye, Lost, Received, TextMessage

_LAST_EVENTS_S: Final = 2.0
"""How long a closing connection waits for the call's last events."""

_log = structlog.get_logger(__name__)


class Line(Protocol):
    """What is carried: :class:`gateway.websocket.link.Link`, or a line of another transport."""

    async def receive(self) -> Received:
        """The next message; after ``Goodbye`` or ``Lost`` nothing follows."""
        ...

    async def close(self, code: CloseCode, reason: str) -> None: ...


class Driver(Protocol):
    """One profile on one connection."""

    @property
    def begun(self) -> bool:
        """A call is attached."""
        ...

    async def receive(self, message: TextMessage | BinaryMessage) -> None:
        """Take one message. Errors end the connection by :func:`gateway.websocket.ending.ending_for`."""
        ...

    def seated(self, hurry: Callable[[], None]) -> None:
        """Before anything else: ``hurry`` makes the next :meth:`tick` come at once, from the event loop."""
        ...

    def tick(self) -> float:
        """20 ms passed. Returns until when no tick is wanted, on the metronome's clock; 0: the next one is."""
        ...

    def goodbye(self, code: int) -> Ending:
        """The client closed with ``code``."""
        ...

    def lost(self, reason: str) -> Ending:
        """The connection broke."""
        ...

    def part(self, ending: Ending) -> None:
        """Tell the call."""
        ...

    async def farewell(self, ending: Ending) -> None:
        """Last words to a client that is there, before the close."""
        ...

    async def ended(self) -> str:
        """Return the reason once the call that this connection has, or will have, is over."""
        ...


async def carry(link: Line, driver: Driver, leaving: Exit, metronome: Metronome, limits: SocketLimits) -> Ending:
    """Run one connection to its end and close it. Cancellation detaches the call."""
    ending = Ending(CloseCode.GOING_AWAY, "cancelled", "detach")
    try:
        ending = await _run(link, driver, leaving, metronome, limits)
    finally:
        if not leaving.superseded:
            driver.part(ending)
    if not ending.peer_gone:
        if ending.farewell == "hang_up" and driver.begun:
            await _last_events(driver)
        await driver.farewell(ending)
        await link.close(ending.code, ending.reason)
    return ending


async def _run(link: Line, driver: Driver, leaving: Exit, metronome: Metronome, limits: SocketLimits) -> Ending:
    def check_started() -> None:
        if not driver.begun:
            why = f"nothing was sent within {limits.start_timeout_s:g} s: send session.start, session.resume or audio"
            leaving.leave(Ending(CloseCode.START_TIMEOUT, why, "none"))

    def tick() -> None:
        if leaving.decided:
            return
        try:
            seat.rests_until = driver.tick()
        except Exception as error:
            _log.exception("playout failed")
            leaving.leave(ending_for(error))
            metronome.leave(seat)

    loop = asyncio.get_running_loop()
    time_is_up = Ending(CloseCode.SESSION_TIME, f"a call lasts at most {limits.session_s:g} s", "hang_up")
    timers = [
        loop.call_later(limits.session_s, leaving.leave, time_is_up),
        loop.call_later(limits.start_timeout_s, check_started),
    ]
    seat = metronome.join(tick)

    def hurry() -> None:
        loop.call_soon(metronome.hurry, seat)

    driver.seated(hurry)
    try:
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(_receive(link, driver, leaving)), tasks.create_task(_watch(driver, leaving))]
            ending = await leaving.wait()
            for task in work:
                task.cancel()
    finally:
        metronome.leave(seat)
        for timer in timers:
            timer.cancel()
    return ending


async def _receive(link: Line, driver: Driver, leaving: Exit) -> None:
    try:
        while True:
            match await link.receive():
                case Goodbye(code=code):
                    return leaving.leave(driver.goodbye(code))
                case Lost(reason=reason):
                    return leaving.leave(driver.lost(reason))
                case message if not leaving.decided:
                    await driver.receive(message)
    except Exception as error:
        leaving.fail(error)


async def _watch(driver: Driver, leaving: Exit) -> None:
    try:
        leaving.leave(ending_of_call(await driver.ended()))
    except Exception as error:
        _log.exception("the call failed")
        leaving.leave(ending_for(error))


async def _last_events(driver: Driver) -> None:
    try:
        async with asyncio.timeout(_LAST_EVENTS_S):
            await driver.ended()
    except TimeoutError:
        _log.warning("the call's last events did not come in time")
