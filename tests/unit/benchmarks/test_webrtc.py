"""What the density benchmark computes from what it saw."""

import numpy as np
import pytest

from benchmarks.webrtc import GATEWAY, PLAIN, Load, ratios
from benchmarks.webrtc_caller import Caller, encoded
from gateway.webrtc.certificate import Certificates
from voicegate.kernel.clock import SystemClock


def load(server: str, calls: int, cpu_ms: float) -> Load:
    return Load(server, calls, cpu_ms, 0.0, None, 0.0, 0.0)


def test_ratios_are_of_equal_numbers_of_calls() -> None:
    loads = [load(GATEWAY, 20, 9.0), load(PLAIN, 20, 36.0), load(GATEWAY, 60, 8.0), load(PLAIN, 30, 40.0)]
    assert ratios(loads) == {20: 0.25}


async def test_gaps_are_between_packets_of_the_measured_stretch() -> None:
    caller = Caller(Certificates(SystemClock()).newest(), [b""], 1)
    caller.arrivals = [0.5, 1.0, 1.02, 1.07, 2.5]
    assert caller.gaps_ms(1.0, 2.0) == pytest.approx([20, 50])


def test_the_callers_voice_is_a_clip_and_a_pause() -> None:
    assert len(encoded(np.zeros(16_000 + 7, np.int16), 1.0)) == 101
