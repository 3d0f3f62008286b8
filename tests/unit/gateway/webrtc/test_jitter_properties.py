"""What holds of the jitter buffer whatever the network does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.jitter import CLOCK_HZ, CREDIT_S, Due, JitterBuffer, Play

FRAME = CLOCK_HZ // 50

SEQUENCE = st.integers(0, 0xFFFF)
TIMESTAMP = st.integers(0, 0xFFFF_FFFF)


def drain(buffer: JitterBuffer, now_s: float) -> list[Due]:
    due: list[Due] = []
    while more := buffer.take(now_s):
        due += more
    return due


def numbers(due: list[Due]) -> list[int]:
    return [int(each.payload) for each in due if isinstance(each, Play)]


def ticks(due: list[Due]) -> int:
    return sum(each.ticks for each in due)


@st.composite
def traces(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Packets 1 to n of a network that delays (up to 50 ms), loses and doubles; 0 always comes first."""
    count = draw(st.integers(1, 60))
    trace = [(0.0, 0)]
    for number in range(1, count):
        copies = draw(st.sampled_from([0, 1, 1, 1, 1, 2]))
        trace += [(number * 0.02 + draw(st.integers(0, 50)) / 1000, number) for _ in range(copies)]
    return sorted(trace)


@given(trace=traces(), first=SEQUENCE, clock=TIMESTAMP)
@settings(max_examples=150, deadline=None)
def test_order_and_length_are_the_senders(trace: list[tuple[float, int]], first: int, clock: int) -> None:
    """Every packet at most once, in order; what is between two of them is filled to the sample; none is late, because
    the first patience covers this network; all that came is played."""
    counts = ReceiverCounts()
    buffer = JitterBuffer(counts, 0.0)
    due: list[Due] = []
    for at_s, number in trace:
        buffer.put(first + number & 0xFFFF, clock + number * FRAME & 0xFFFF_FFFF, FRAME, b"%d     " % number, at_s)
        due += drain(buffer, at_s)
    due += drain(buffer, trace[-1][0] + 0.2)
    came = {number for _, number in trace}
    assert numbers(due) == sorted(came)
    assert ticks(due) == (max(came) + 1) * FRAME
    assert counts.lost == max(came) + 1 - len(came)
    assert counts.duplicated == len(trace) - len(came)


@given(
    packets=st.lists(
        st.tuples(
            SEQUENCE | st.integers(0, 300), TIMESTAMP | st.integers(0, 300_000), st.integers(0, 6), st.integers(0, 900)
        ),
        max_size=80,
    )
)
@settings(max_examples=200, deadline=None)
def test_a_hostile_sender_gets_no_more_audio_than_time_and_no_more_memory(
    packets: list[tuple[int, int, int, int]],
) -> None:
    buffer = JitterBuffer(ReceiverCounts(), 0.0)
    now_s, heard = 0.0, 0
    for sequence, timestamp, frames, wait_ms in packets:
        now_s += wait_ms / 1000
        buffer.put(sequence, timestamp, frames * FRAME, b"x" * frames, now_s)
        heard += ticks(drain(buffer, now_s))
        assert heard / CLOCK_HZ <= CREDIT_S + now_s * 1.02 + 1e-6
        assert len(buffer._order._waiting) <= 66
        assert len(buffer._order._missed) <= 66


@given(drift_ppm=st.integers(-500, 500))
@settings(max_examples=20, deadline=None)
def test_a_clock_that_drifts_changes_nothing(drift_ppm: int) -> None:
    """An hour of a sender whose clock is wrong: every packet is due the moment it comes, none is added, none is cut."""
    buffer = JitterBuffer(ReceiverCounts(), 0.0)
    for number in range(0, 180_000, 450):  # of each nine seconds the first frame, as in a call of pauses
        at_s = number * 0.02 * (1 + drift_ppm / 1e6)
        buffer.put(number // 450 & 0xFFFF, number * FRAME & 0xFFFF_FFFF, FRAME, b"%d     " % number, at_s)
        assert numbers(buffer.take(at_s))[-1] == number
