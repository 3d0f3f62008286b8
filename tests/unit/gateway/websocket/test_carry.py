"""The common life of a connection, with a socket and a driver written by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast

import pytest

from gateway.close_codes import CloseCode
from gateway.metronome import Metronome
from gateway.websocket.carry import carry
from gateway.websocket.ending import Ending, Exit
from gateway.websocket.limits import SocketLimits
from gateway.websocket.link import BinaryMessage, Goodbye, Link, Lost, Received, TextMessage
from voicegate.kernel.errors import AudioError
from voicegate.kernel.telemetry import NoTelemetry


class ScriptedLink:
    """Receives what it is given, then nothing more."""

    def __init__(self, *script: Received) -> None:
        self.script = list(script)
        self.closed: list[tuple[CloseCode, str]] = []

    async def receive(self) -> Received:
        if self.script:
            return self.script.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self, code: CloseCode, reason: str) -> None:
        self.closed.append((code, reason))


class NotingDriver:
    def __init__(self) -> None:
        self.begun = True
        self.log: list[str] = []
        self.fails: Exception | None = None
        self.tick_fails: Exception | None = None
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def receive(self, message: TextMessage | BinaryMessage) -> None:
        self.log.append("received")
        if self.fails:
            raise self.fails

    def seated(self, hurry: Callable[[], None]) -> None:
        self.hurry = hurry

    def tick(self) -> float:
        self.log.append("tick")
        if self.tick_fails:
            raise self.tick_fails
        return 0.0

    def goodbye(self, code: int) -> Ending:
        return Ending(CloseCode.NORMAL, f"goodbye {code}", "hang_up", peer_gone=True)

    def lost(self, reason: str) -> Ending:
        return Ending(CloseCode.GOING_AWAY, reason, "detach", peer_gone=True)

    async def farewell(self, ending: Ending) -> None:
        pass

    def part(self, ending: Ending) -> None:
        self.log.append(f"part {ending.farewell}")

    async def ended(self) -> str:
        return await asyncio.shield(self.over)


class HandClock:
    """A metronome whose steps the test makes: each sleep waits for :meth:`step`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._gate = asyncio.Semaphore(0)

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        await self._gate.acquire()
        self.now += seconds

    def step(self) -> None:
        self._gate.release()


async def run(
    link: ScriptedLink, driver: NotingDriver, during: Callable[[Exit, HandClock], Awaitable[None]] | None = None
) -> Ending:
    clock, leaving = HandClock(), Exit()
    metronome = Metronome(clock, NoTelemetry(), sleep=clock.sleep)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        beat = tasks.create_task(metronome.run())
        carrying = tasks.create_task(carry(cast(Link, link), driver, leaving, metronome, SocketLimits()))
        for _ in range(5):
            await asyncio.sleep(0)
        if during:
            await during(leaving, clock)
        ending = await carrying
        beat.cancel()
    assert len(metronome) == 0
    return ending


async def test_a_goodbye_is_the_drivers_to_judge_and_nothing_is_said_to_who_left() -> None:
    link, driver = ScriptedLink(TextMessage("x"), Goodbye(1000), TextMessage("late")), NotingDriver()
    assert (await run(link, driver)).reason == "goodbye 1000"
    assert driver.log == ["received", "part hang_up"]
    assert link.closed == []


async def test_a_lost_socket_detaches() -> None:
    link, driver = ScriptedLink(Lost("cut")), NotingDriver()
    await run(link, driver)
    assert driver.log == ["part detach"]
    assert link.closed == []


@pytest.mark.parametrize(
    ("error", "code"), [(AudioError("x"), CloseCode.BAD_PAYLOAD), (RuntimeError("bug"), CloseCode.INTERNAL)]
)
async def test_an_error_of_the_driver_closes_with_its_code(error: Exception, code: CloseCode) -> None:
    link, driver = ScriptedLink(TextMessage("x"), TextMessage("never taken")), NotingDriver()
    driver.fails = error
    assert (await run(link, driver)).code == code
    assert driver.log == ["received", "part detach"]
    assert [closed[0] for closed in link.closed] == [code]


async def test_a_tick_that_fails_closes_with_1011_and_ticks_no_more() -> None:
    link, driver = ScriptedLink(), NotingDriver()
    driver.tick_fails = RuntimeError("bug")

    async def ticking(_leaving: Exit, clock: HandClock) -> None:
        for _ in range(10):
            clock.step()
            await asyncio.sleep(0)

    assert (await run(link, driver, ticking)).code == CloseCode.INTERNAL
    assert driver.log.count("tick") == 1


async def test_the_call_ends_and_the_driver_is_not_asked_to_end_it() -> None:
    link, driver = ScriptedLink(), NotingDriver()
    driver.over.set_result("agent")
    assert await run(link, driver) == Ending(CloseCode.NORMAL, "agent", "none")
    assert driver.log == ["part none"]
    assert link.closed == [(CloseCode.NORMAL, "agent")]


async def test_after_the_decision_nothing_ticks_and_nothing_is_received() -> None:
    link, driver = ScriptedLink(), NotingDriver()

    async def decide(leaving: Exit, clock: HandClock) -> None:
        leaving.leave(Ending(CloseCode.TOO_SLOW, "x", "detach"))
        link.script.append(TextMessage("late"))
        clock.step()

    await run(link, driver, decide)
    assert driver.log == ["part detach"]


async def test_a_superseded_connection_does_not_touch_the_call_whatever_it_had_decided() -> None:
    link, driver = ScriptedLink(), NotingDriver()

    async def lost_then_resumed_elsewhere(leaving: Exit, _clock: HandClock) -> None:
        leaving.leave(Ending(CloseCode.GOING_AWAY, "lost", "detach", peer_gone=True))
        leaving.supersede()

    await run(link, driver, lost_then_resumed_elsewhere)
    assert driver.log == []


async def test_a_hang_up_waits_for_the_last_events_before_closing() -> None:
    link, driver = ScriptedLink(), NotingDriver()

    async def end(leaving: Exit, _clock: HandClock) -> None:
        leaving.leave(Ending(CloseCode.SESSION_TIME, "too long", "hang_up"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert driver.log == ["part hang_up"]
        assert link.closed == [], "it closed before the call's last events"
        driver.over.set_result("session_time")

    await run(link, driver, end)
    assert link.closed == [(CloseCode.SESSION_TIME, "too long")]


async def test_cancellation_detaches() -> None:
    link, driver, clock = ScriptedLink(), NotingDriver(), HandClock()
    metronome = Metronome(clock, NoTelemetry(), sleep=clock.sleep)
    async with asyncio.TaskGroup() as tasks:
        carrying = tasks.create_task(carry(cast(Link, link), driver, Exit(), metronome, SocketLimits()))
        for _ in range(5):
            await asyncio.sleep(0)
        carrying.cancel()
    assert driver.log == ["part detach"]
    assert len(metronome) == 0
