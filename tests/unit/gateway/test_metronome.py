"""The one clock, on virtual time."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from gateway.metronome import MANY, MAX_CATCH_UP_MS, STEP_S, Metronome
from voicegate.kernel.observability.prometheus import PrometheusTelemetry


class VirtualTime:
    """A clock that only sleeping moves; ``oversleep_s`` makes the next sleep late by so much."""

    def __init__(self, until_s: float) -> None:
        self.now = 1000.0
        self.oversleep_s = 0.0
        self._until = self.now + until_s

    def monotonic(self) -> float:
        return self.now

    def utc(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.oversleep_s
        self.oversleep_s = 0.0
        if self.now > self._until:
            raise TimeoutError
        await asyncio.sleep(0)


class Bench:
    """A metronome, its time, and what ticked when."""

    def __init__(self, until_s: float) -> None:
        self.time = VirtualTime(until_s)
        self.registry = CollectorRegistry()
        self.stops: list[float] = []
        self.metronome = Metronome(self.time, PrometheusTelemetry(self.registry), sleep=self.time.sleep, stop=self.stop)
        self.ticks: dict[str, list[float]] = {}

    def join(self, name: str) -> None:
        self.ticks[name] = []
        self.metronome.join(lambda: self.ticks[name].append(round(self.time.now - 1000.0, 6)))

    def stop(self, seconds: float) -> None:
        """The loop stands still."""
        assert 0 < seconds < STEP_S
        self.stops.append(seconds)
        self.time.now += seconds

    async def run(self) -> None:
        with pytest.raises(TimeoutError):
            await self.metronome.run()

    def value(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0


async def test_every_seat_ticks_each_20_ms_and_seats_spread_over_the_phases() -> None:
    bench = Bench(until_s=0.1)
    for name in "abcdefgh":
        bench.join(name)
    await bench.run()
    firsts = sorted(ticks[0] for ticks in bench.ticks.values())
    assert firsts == [0.005, 0.005, 0.01, 0.01, 0.015, 0.015, 0.02, 0.02]
    for ticks in bench.ticks.values():
        assert [round(b - a, 6) for a, b in pairwise(ticks)] == [0.02] * (len(ticks) - 1)


async def test_deadlines_are_absolute_so_nothing_drifts() -> None:
    bench = Bench(until_s=60.0)
    bench.join("a")
    late = 0

    async def sleep(seconds: float) -> None:
        nonlocal late
        late += 1
        bench.time.oversleep_s = 0.003 if late % 2 else 0.0007
        await VirtualTime.sleep(bench.time, seconds)

    bench.metronome._sleep = sleep
    await bench.run()
    assert len(bench.ticks["a"]) == pytest.approx(60.0 / 0.02, abs=1)
    assert bench.value("voicegate_playout_lateness_seconds_count") == len(bench.ticks["a"])


async def test_a_late_clock_catches_up() -> None:
    bench = Bench(until_s=0.4)
    for name in "abcd":
        bench.join(name)
    bench.time.oversleep_s = 0.06
    await bench.run()
    for ticks in bench.ticks.values():
        assert len(ticks) in (19, 20)
        assert ticks[3] - ticks[0] < 0.021, "ticks missed while it slept come at once"
    assert bench.value("voicegate_playout_skipped_steps_total") == 0


@pytest.mark.parametrize("stall_s", [0.5, 30.0])
async def test_what_is_too_old_is_skipped_and_counted(stall_s: float) -> None:
    bench = Bench(until_s=stall_s + 0.1)
    for name in "abcd":
        bench.join(name)
    bench.time.oversleep_s = stall_s
    await bench.run()
    for ticks in bench.ticks.values():
        at_once = [tick for tick in ticks if tick <= stall_s + STEP_S + 1e-6]
        assert len(at_once) == MAX_CATCH_UP_MS / 20
    skipped = bench.value("voicegate_playout_skipped_steps_total")
    assert skipped == pytest.approx(stall_s / STEP_S - MAX_CATCH_UP_MS / 5 + 1, abs=1)


async def test_a_seat_that_left_ticks_no_more_even_if_it_left_in_the_same_step() -> None:
    bench = Bench(until_s=0.1)
    seats = {}
    ticked = []
    # Seats 0 and 4 share a phase; the first takes the other away.
    for number in range(5):
        seats[number] = bench.metronome.join(lambda number=number: ticked.append(number))  # type: ignore[misc]

    def leave_together() -> None:
        bench.metronome.leave(seats[0])
        bench.metronome.leave(seats[4])
        bench.metronome.leave(seats[4])

    seats[0].tick = leave_together
    await bench.run()
    assert 4 not in ticked
    assert {1, 2, 3} <= set(ticked)
    assert len(bench.metronome) == 3


async def test_a_tick_that_raises_loses_its_seat_and_nobody_else_notices() -> None:
    bench = Bench(until_s=0.2)

    def broken() -> None:
        raise RuntimeError("a bug in one call")

    bench.metronome.join(broken)
    bench.join("b")
    await bench.run()
    assert len(bench.metronome) == 1
    assert len(bench.ticks["b"]) >= 8
    assert bench.value("voicegate_playout_faults_total") == 1


async def test_it_sleeps_while_nobody_sits_and_wakes_for_the_first() -> None:
    bench = Bench(until_s=0.1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.run())
        for _ in range(5):
            await asyncio.sleep(0)
        assert bench.time.now == 1000.0, "time is virtual: nobody slept"
        bench.join("a")
        await running
    assert len(bench.ticks["a"]) >= 4


async def test_it_falls_asleep_again_when_the_last_left() -> None:
    bench = Bench(until_s=10.0)
    seat = bench.metronome.join(lambda: bench.metronome.leave(seat))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.metronome.run())
        for _ in range(10):
            await asyncio.sleep(0)
        assert bench.time.now < 1000.03
        running.cancel()


async def test_a_seat_in_a_hurry_ticks_at_once_and_every_20_ms_from_there() -> None:
    bench = Bench(until_s=0.1)
    ticks: list[float] = []
    seat = bench.metronome.join(lambda: ticks.append(round(bench.time.now - 1000.0, 6)))

    def hurry() -> None:
        if len(ticks) == 1:
            bench.time.now += 0.0021  # somewhere between two steps
            bench.metronome.hurry(seat)

    for tick in (lambda: None, lambda: None, lambda: None, hurry):
        bench.metronome.join(tick)
    await bench.run()
    first, hurried, *later = ticks
    assert 0 < hurried - first < 0.02
    assert 0.015 <= later[0] - hurried <= 0.02
    assert all(after - before == pytest.approx(0.02) for before, after in pairwise(later))


async def test_who_left_cannot_hurry() -> None:
    bench = Bench(until_s=0.05)
    ticks: list[None] = []
    seat = bench.metronome.join(lambda: ticks.append(None))
    bench.metronome.leave(seat)
    bench.metronome.hurry(seat)
    assert ticks == []


@pytest.mark.parametrize(("seats", "stops"), [(MANY - 1, False), (MANY, True)])
async def test_with_many_seats_the_loop_wakes_by_the_clock_only(seats: int, stops: bool) -> None:
    bench = Bench(until_s=0.2)
    for number in range(seats):
        bench.join(str(number))
    await bench.run()
    assert bool(bench.stops) is stops
    for ticks in bench.ticks.values():
        assert [round(b - a, 6) for a, b in pairwise(ticks)] == [0.02] * (len(ticks) - 1), "on time either way"
    if stops:
        assert len(bench.stops) == pytest.approx(0.2 / STEP_S, abs=2)
        assert 0.5 * STEP_S < sum(bench.stops) / len(bench.stops) < STEP_S, "and the loop had its turns in between"


async def test_a_clock_that_is_late_stops_nothing() -> None:
    bench = Bench(until_s=0.1)
    for number in range(MANY):
        bench.join(str(number))
    seat = bench.metronome.join(lambda: None)

    def slow() -> None:
        bench.time.now += 0.9 * STEP_S

    seats = [bench.metronome.join(slow) for _ in range(4)]
    await bench.run()
    assert len(bench.stops) <= 1, "before it was"
    assert len(bench.metronome) == MANY + len([seat, *seats])


async def test_a_seat_that_rests_is_let_rest_until_its_time_or_until_it_is_hurried() -> None:
    bench = Bench(until_s=0.2)
    ticks: list[float] = []
    seat = bench.metronome.join(lambda: ticks.append(round(bench.time.now - 1000.0, 6)))
    seat.rests_until = 1000.1
    await bench.run()
    assert 0.1 <= ticks[0] <= 0.12
    assert len(ticks) in (5, 6)
    before = len(ticks)
    seat.rests_until = 2000.0
    bench.metronome.hurry(seat)
    assert len(ticks) == before + 1
    assert seat.rests_until == 0.0
