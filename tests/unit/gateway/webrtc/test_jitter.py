"""The jitter buffer, packet by packet: tables of what came when, and what was due."""

from dataclasses import dataclass, field

import pytest

from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.jitter import CLOCK_HZ, MAX_TAKEN, Due, JitterBuffer, Missing, Play, Silence

MS = CLOCK_HZ // 1000
FRAME = 20 * MS


@dataclass
class Stream:
    """A buffer, and packets of 20 ms named by their numbers."""

    first: int = 0
    clock: int = 0
    counts: ReceiverCounts = field(default_factory=ReceiverCounts)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.buffer = JitterBuffer(self.counts, 0.0)

    def put(self, number: int, at_ms: float, *, payload: bytes = b"", ticks: int = FRAME, shift: int = 0) -> None:
        self.now_s = at_ms / 1000
        timestamp = self.clock + number * FRAME + shift & 0xFFFF_FFFF
        content = payload or b"<%d>" % number
        self.buffer.put(self.first + number & 0xFFFF, timestamp, ticks, content, self.now_s)

    def take(self, at_ms: float | None = None) -> list[str]:
        """What is due now, or from now until ``at_ms``, asked every 20 ms."""
        due: list[Due] = []
        while at_ms is not None and self.now_s + 0.02 < at_ms / 1000:
            self.now_s += 0.02
            due += self.buffer.take(self.now_s)
        self.now_s = self.now_s if at_ms is None else at_ms / 1000
        return list(map(self.name, [*due, *self.buffer.take(self.now_s)]))

    @staticmethod
    def name(due: Due) -> str:
        match due:
            case Play():
                return due.payload.decode()
            case Missing():
                return f"{due.packets} missing, {due.ticks / MS:g} ms, before {due.following.decode()}"
            case Silence():
                return f"{due.ticks / MS:g} ms of silence"


def calm(first: int = 0, clock: int = 0) -> Stream:
    """A stream of 600 packets that came in order: 12 s, patience at its least."""
    stream = Stream(first, clock)
    for number in range(600):
        stream.put(number, number * 20)
        stream.take()
    return stream


def test_nothing_is_due_before_the_first_packet() -> None:
    assert Stream().take(60_000) == []


def test_what_is_in_order_is_due_at_once() -> None:
    stream = Stream()
    for number in range(3):
        stream.put(number, number * 20 + 5)
        assert stream.take() == [f"<{number}>"]


@pytest.mark.parametrize(("first", "clock"), [(65_534, 0), (0, (1 << 32) - FRAME), (65_535, (1 << 32) - 1)])
def test_numbers_and_timestamps_wrap_round(first: int, clock: int) -> None:
    stream = Stream(first, clock)
    for number in (0, 2, 1, 3):
        stream.put(number, 0)
    assert stream.take() == ["<0>", "<1>", "<2>", "<3>"]
    stream.put(5, 20)
    assert stream.take(300) == ["1 missing, 20 ms, before <5>", "<5>"]


def test_a_packet_that_was_overtaken_is_waited_for() -> None:
    stream = Stream()
    stream.put(0, 0)
    stream.put(2, 40)
    assert stream.take() == ["<0>"]
    stream.put(1, 60)
    assert stream.take() == ["<1>", "<2>"]
    assert (stream.counts.lost, stream.counts.late) == (0, 0)


def test_a_packet_that_does_not_come_is_given_up() -> None:
    stream = calm()
    stream.put(602, 12_040)
    assert stream.take(12_049) == []
    assert stream.take(12_051) == ["2 missing, 40 ms, before <602>", "<602>"]
    assert stream.counts.lost == 2


def test_one_that_comes_after_that_is_late_and_teaches_patience() -> None:
    stream = calm()
    stream.put(601, 12_020)
    assert stream.take(12_040) == ["1 missing, 20 ms, before <601>", "<601>"]
    stream.put(600, 12_060)
    assert stream.take() == []
    assert (stream.counts.lost, stream.counts.late, stream.counts.duplicated) == (1, 1, 0)
    assert stream.buffer.patience_s == pytest.approx(0.045)


def test_a_packet_that_comes_twice_is_played_once() -> None:
    stream = Stream()
    for number in (0, 0, 1, 3, 3, 2, 2, 0):
        stream.put(number, 20)
    assert stream.take() == ["<0>", "<1>", "<2>", "<3>"]
    assert stream.counts.duplicated == 4


def test_holes_behind_each_other_are_waited_for_one_by_one() -> None:
    stream = calm()
    stream.put(601, 12_020)  # 600 is missing since now
    stream.put(603, 12_028)  # 602 only since now
    assert stream.take(12_031) == ["1 missing, 20 ms, before <601>", "<601>"]
    assert stream.take(12_037) == []
    assert stream.take(12_039) == ["1 missing, 20 ms, before <603>", "<603>"]


def test_packets_of_any_length() -> None:
    stream = Stream()
    stream.buffer.put(0, 0, 60 * MS, b"<a>", 0.0)
    stream.buffer.put(1, 60 * MS, 10 * MS, b"<b>", 0.06)
    stream.buffer.put(3, 190 * MS, 120 * MS, b"<d>", 0.2)
    assert stream.take(400) == ["<a>", "<b>", "1 missing, 120 ms, before <d>", "<d>"]


def test_padding_has_a_place_but_no_length() -> None:
    stream = Stream()
    stream.put(0, 0)
    stream.put(1, 20, ticks=0)
    stream.buffer.put(2, FRAME, FRAME, b"<2>", 0.04)
    assert stream.take() == ["<0>", "<2>"]
    assert stream.counts.lost == 0


# --- pauses, stalls, outages --------------------------------------------------------------------------------------


def test_a_pause_of_the_sender_is_silence_and_no_loss() -> None:
    stream = calm()
    stream.put(600, 12_400, shift=380 * MS)
    assert stream.take() == ["380 ms of silence", "<600>"]
    assert stream.counts.lost == 0


def test_an_announced_pause_is_heard_while_it_lasts() -> None:
    stream = calm()
    stream.put(600, 12_000, payload=b"\x48")
    stream.take()
    assert stream.take(12_070) == []
    assert stream.take(12_085) == ["20 ms of silence"]
    assert stream.take(12_160) == ["20 ms of silence"] * 4
    stream.put(601, 12_200, shift=180 * MS)
    assert stream.take() == ["80 ms of silence", "<601>"], "180 ms of pause, 100 of them heard"


def test_speech_is_not_dropped_for_silence_that_was_made_too_much_of() -> None:
    stream = calm()
    stream.put(600, 12_000, payload=b"\x48")
    assert stream.take() == ["H"]
    assert len(stream.take(12_285)) == 11
    stream.put(601, 12_290)  # it paused no longer than a packet, and was late
    assert stream.take() == ["<601>"]


def test_a_stall_delays_and_loses_nothing() -> None:
    stream = calm()
    assert stream.take(12_400) == []
    for number in range(600, 620):
        stream.put(number, 12_400)
    assert stream.take() == [f"<{number}>" for number in range(600, 600 + MAX_TAKEN)]
    assert stream.take() == [f"<{number}>" for number in range(600 + MAX_TAKEN, 620)]
    stream.put(620, 12_405)
    assert stream.take() == ["<620>"], "nothing of the stall is left"


def test_in_a_long_stall_silence_goes_on_so_that_turns_end() -> None:
    stream = calm()  # the last packet came at 11 980
    assert stream.take(12_479) == []
    assert stream.take(12_501) == ["20 ms of silence"]
    assert stream.take(12_521) == ["20 ms of silence"]


def test_time_in_which_nobody_asked_is_no_silence() -> None:
    """This process stood still for a second; the packets are in its socket."""
    stream = calm()
    stream.now_s = 13.0
    assert stream.take() == []
    for number in range(600, 651):
        stream.put(number, 13_001)
    assert stream.take()[0] == "<600>"


def test_an_outage_is_filled_to_its_length() -> None:
    stream = calm()
    stream.put(650, 13_000)
    stream.put(651, 13_020)
    assert stream.take(13_031) == ["50 missing, 1000 ms, before <650>", "<650>", "<651>"]
    assert stream.counts.lost == 50


def test_after_an_outage_that_was_heard_as_silence_only_the_last_packet_is_rebuilt() -> None:
    stream = calm()
    assert len(stream.take(12_800)) == 16
    stream.put(650, 13_000)
    stream.put(651, 13_020)
    assert stream.take(13_031) == ["660 ms of silence", "50 missing, 20 ms, before <650>", "<650>", "<651>"]


def test_an_absence_of_more_than_two_seconds_is_not_filled() -> None:
    stream = calm()
    stream.put(600, 20_000, shift=8_000 * MS)
    assert stream.take() == ["<600>"]


def test_of_a_large_hole_only_the_last_are_waited_for() -> None:
    stream = calm()
    stream.put(700, 14_000)
    stream.put(701, 14_001)
    assert stream.counts.lost == 100 - 32
    stream.put(690, 14_005)
    assert stream.take(14_050)[:2] == ["90 missing, 1800 ms, before <690>", "<690>"]


# --- restarts and hostile streams ---------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [401, 5_000, 40_000, -150, -5_000])
def test_two_packets_from_far_away_are_a_restart_that_loses_nothing(jump: int) -> None:
    stream = calm()
    stream.put(600 + jump, 12_000)
    assert stream.take() == []
    stream.put(601 + jump, 12_020)
    assert stream.take() == [f"<{600 + jump}>", f"<{601 + jump}>"]
    assert stream.counts.restarts == 1


def test_one_packet_from_far_away_is_an_accident() -> None:
    stream = calm()
    stream.put(30_000, 12_000)
    stream.put(600, 12_001)
    stream.put(30_001, 12_002)
    assert stream.take() == ["<600>"]
    assert stream.counts.restarts == 0


def test_a_restart_that_was_told_begins_anywhere() -> None:
    stream = calm()
    stream.buffer.restart()
    stream.put(30_000, 12_000)
    assert stream.take() == ["<30000>"]
    assert stream.counts.restarts == 1


def test_timestamps_that_go_back_are_played_in_the_order_of_their_numbers() -> None:
    stream = calm()
    stream.put(600, 12_000, shift=-5_000 * MS)
    stream.put(601, 12_020, shift=-5_000 * MS)
    assert stream.take() == ["<600>", "<601>"]


def test_a_hole_is_not_waited_for_by_more_than_64_packets() -> None:
    stream = calm()
    for number in range(601, 667):
        stream.put(number, 12_000)
    assert stream.take()[:2] == ["1 missing, 20 ms, before <601>", "<601>"]


def test_audio_much_faster_than_speech_is_refused() -> None:
    stream = calm()
    for number in range(600, 1_000):  # 8 s of audio at once
        stream.put(number, 12_000)
    played = 0
    while due := stream.take():
        played += len(due)
    assert played == pytest.approx(200, abs=2)
    assert stream.counts.flooded == 400 - played
    for number in range(1_000, 1_010):
        stream.put(number, 12_020 + (number - 1_000) * 20)
    assert stream.take()[-1] == "<1009>", "at the pace of speech it goes on"


def test_gaps_cannot_be_used_to_make_silence_without_end() -> None:
    """A packet whose timestamp is two seconds ahead asks for two seconds of silence; a hundred of them would for
    minutes."""
    stream = calm()
    made = 0.0
    for number in range(600, 700):
        stream.put(number, 12_000 + number - 600, shift=(number - 600) * 1_900 * MS)
        made += sum(due.ticks for due in stream.buffer.take(stream.now_s)) / MS
    assert made < 4_200


def test_a_late_packet_is_recognised_for_two_seconds() -> None:
    stream = calm()
    stream.put(601, 12_020)
    stream.take(12_040)
    for number in range(602, 660):
        stream.put(number, 12_040 + (number - 602) * 35)
    stream.put(661, 14_100)  # another hole, at which old ones are forgotten
    stream.put(600, 14_130)
    assert stream.counts.late == 0
    assert "<600>" not in stream.take()


def test_memory_of_holes_is_bounded() -> None:
    stream = calm()
    for number in range(602, 3_000, 2):
        stream.put(number, 12_000 + number / 100)
        stream.take()
    assert len(stream.buffer._order._missed) <= 66
    assert len(stream.buffer._order._waiting) <= 66
