"""Following the load: what is shed at which level, who is told, how many may come, and that all is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import structlog.testing

from gateway.load import LoadGauge
from gateway.pace import Pace
from pipeline.allowance import Allowance
from voicegate.kernel.telemetry import NoTelemetry
from voicegate.load import Following, Spent, follow_load, spent


class Over(Exception):
    """The table's seconds are used up."""


@dataclass
class Calls:
    live: int = 10
    told: list[str] = field(default_factory=list)

    def tell_all(self, code: str, message: str) -> None:
        assert code == "load"
        self.told.append(message)


async def test_each_level_sheds_more_and_calm_brings_it_back() -> None:
    gauge, allowance, calls, pace = LoadGauge(), Allowance(), Calls(), Pace()
    seen: list[str] = []
    welcome: list[int] = []
    clock = iter(range(100))

    def seconds() -> Iterator[float]:
        yield from [0.02] * 3 + [0.1] + [0.0] * 8

    lateness = seconds()

    def half_busy() -> Spent:
        now = next(clock)
        return Spent(now, now / 2, now / 4)

    async def second(_: float) -> None:
        shed = [
            name
            for name, left in (
                ("interims", allowance.interims), ("recordings", allowance.recordings), ("doubts", allowance.doubts),
                ("calls", not gauge.full), ("speculation", allowance.speculation),
            )
            if not left
        ]  # fmt: skip
        seen.append(" ".join(shed))
        welcome.append(sum(pace.take() for _ in range(100)))
        late_s = next(lateness, None)
        if late_s is None:
            raise Over
        for _tick in range(50):
            gauge.observe(late_s)

    following = Following(gauge, pace, allowance, calls, sleep=second, spent=half_busy)
    with pytest.raises(Over), structlog.testing.capture_logs() as logs:
        await follow_load(following, NoTelemetry())
    interims, doubts = "interims recordings", "interims recordings doubts"
    full, speculation = f"{doubts} calls", f"{doubts} calls speculation"
    assert seen == [
        "", interims, doubts, full, speculation,
        speculation, full, doubts, interims, "", "", "", "",
    ]  # fmt: skip
    assert welcome == [50, *[10] * 4, *[2] * 8], "ten after a late second; half busy with ten calls: 2"
    assert [said.split(":")[0] for said in calls.told] == ["high load"] * 7 + ["the load is normal again"]
    assert [log["load"] for log in logs] == [
        "no_interims", "no_doubts", "full", "no_speculation", "full", "no_doubts", "no_interims", "normal"
    ]  # fmt: skip


def test_busy_is_the_loop_or_the_cores_whichever_is_nearer_to_its_end() -> None:
    before = Spent(10.0, 1.0, 2.0, 4)
    assert Spent(12.0, 2.0, 2.5, 2).busy_since(before) == pytest.approx(0.5)
    assert Spent(12.0, 1.0, 5.6, 2).busy_since(before) == pytest.approx(0.9)
    assert Spent(10.0, 1.0, 2.0).busy_since(before) == 0


def test_what_was_spent_grows_with_work() -> None:
    before = spent()
    while spent().wall_s - before.wall_s < 0.05:
        pass
    assert 0 < spent().busy_since(before) <= 1.5
