"""How long a phone call's conversation is remembered."""

from dataclasses import dataclass

from gateway.phone.capability import Capabilities, Held, NotesHere
from voicegate.kernel.clock import SystemClock

HELD = Held("session", "secret")


@dataclass
class Clock(SystemClock):
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


async def test_a_lost_stream_is_waited_for_and_one_that_came_back_is_remembered_again() -> None:
    clock = Clock()
    capabilities = Capabilities(NotesHere(clock), hold_s=3600.0, wait_s=90.0)
    await capabilities.hold("twilio", "CA1", HELD)
    clock.now = 100.0
    assert await capabilities.held("twilio", "CA1") == HELD
    await capabilities.wait("twilio", "CA1")
    clock.now = 189.0
    assert await capabilities.held("twilio", "CA1") == HELD
    await capabilities.hold("twilio", "CA1", HELD)
    clock.now = 1000.0
    assert await capabilities.held("twilio", "CA1") == HELD
    await capabilities.wait("twilio", "CA1")
    clock.now = 1091.0
    assert await capabilities.held("twilio", "CA1") is None


async def test_a_call_that_nobody_holds_is_not_waited_for() -> None:
    capabilities = Capabilities(NotesHere(SystemClock()), hold_s=3600.0)
    await capabilities.wait("twilio", "CA1")
    assert await capabilities.held("twilio", "CA1") is None
