"""Following the load: what is shed at which level, who is told, and that all is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import structlog.testing

from gateway.load import LoadGauge
from pipeline.allowance import Allowance
from voicegate.kernel.telemetry import NoTelemetry
from voicegate.load import follow_load


class Over(Exception):
    """The table's seconds are used up."""


@dataclass
class Calls:
    told: list[str] = field(default_factory=list)

    def tell_all(self, code: str, message: str) -> None:
        assert code == "load"
        self.told.append(message)


async def test_each_level_sheds_more_and_calm_brings_it_back() -> None:
    gauge, allowance, calls = LoadGauge(), Allowance(), Calls()
    seen: list[tuple[bool, bool, bool]] = []

    def seconds() -> Iterator[float]:
        yield from [0.02] * 4 + [0.0] * 6

    lateness = seconds()

    async def second(_: float) -> None:
        seen.append((allowance.interims, allowance.speculation, gauge.full))
        late_s = next(lateness, None)
        if late_s is None:
            raise Over
        for _tick in range(50):
            gauge.observe(late_s)

    with pytest.raises(Over), structlog.testing.capture_logs() as logs:
        await follow_load(gauge, allowance, calls, NoTelemetry(), sleep=second)
    normal, no_interims, no_speculation, full = (
        (True, True, False), (False, True, False), (False, False, False), (False, False, True)
    )  # fmt: skip
    assert seen == [
        normal, no_interims, no_speculation, full, full,
        full, no_speculation, no_speculation, no_interims, no_interims, normal,
    ]  # fmt: skip
    assert [said.split(":")[0] for said in calls.told] == ["high load"] * 5 + ["the load is normal again"]
    assert [log["level"] for log in logs] == [
        "no_interims", "no_speculation", "full", "no_speculation", "no_interims", "normal"
    ]  # fmt: skip
