"""From frames to packets: how far ahead, how long, what is marked, what a stop says."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gateway.phone.ear import AHEAD_MS
from gateway.phone.echo import EchoGate
from gateway.phone.messages import PhoneFormat, Send, SendBinary
from gateway.phone.mouth import Mouth
from gateway.phone.protocol import Traits
from voicegate.kernel.audio import Samples

FORMAT = PhoneFormat("pcm16", 8_000)
FRAME_BYTES = 320


class Talk:
    """A conversation with so many frames to say."""

    def __init__(self, frames: int) -> None:
        self.frames = deque(np.full(160, index + 1, np.int16) for index in range(frames))
        self.played = 0
        self.at_phrase_end = False
        self.says_ends = True

    def take_frames(self, most: int = 1) -> Samples | None:
        self.at_phrase_end = self.says_ends and 0 < len(self.frames) <= most
        taken = [self.frames.popleft() for _ in range(min(most, len(self.frames)))]
        return np.concatenate(taken) if taken else None

    def frames_played(self, samples: int) -> None:
        self.played += samples


class Wire:
    """A protocol that writes down what it is told."""

    def __init__(self, **traits: Any) -> None:
        self.traits = Traits(**({"buffers": True, "has_clear": True, "has_marks": True} | traits))

    def play(self, packet: bytes) -> Sequence[Send]:
        return [SendBinary(packet)]

    def mark(self, name: str) -> Sequence[Send]:
        return [SendBinary(name.encode())]

    def clear(self) -> Sequence[Send]:
        return [SendBinary(b"clear")]


def mouth(frames: int, echo: EchoGate | None = None, **traits: Any) -> tuple[Any, Talk, list[bytes]]:
    talk, sent = Talk(frames), list[bytes]()
    protocol: Any = Wire(**traits)
    conversation: Any = talk

    def send(sends: Sequence[Send]) -> None:
        sent.extend(each.data for each in sends)

    return Mouth(conversation, protocol, FORMAT, send, echo), talk, sent


def packets(sent: list[bytes]) -> list[int]:
    """Frames in each packet."""
    return [len(each) // FRAME_BYTES for each in sent if len(each) >= FRAME_BYTES]


def run(one: Any, ticks: int, start: float = 5.0) -> float:
    for tick in range(ticks):
        one.tick(start + tick * 0.02, may_play=True)
    return start + ticks * 0.02


def test_at_first_as_much_as_may_be_ahead_then_in_real_time() -> None:
    one, talk, sent = mouth(100, packet_ms=40)
    one.tick(5.0, may_play=True)
    assert sum(packets(sent)) == AHEAD_MS // 20
    run(one, 21)
    assert sum(packets(sent)) <= AHEAD_MS // 20 + 20
    assert set(packets(sent)) == {2}
    assert talk.played <= 20 * 160


def test_a_phrase_ends_with_a_mark_and_a_long_one_has_some_in_it() -> None:
    one, _, sent = mouth(25, packet_ms=40)
    run(one, 40)
    names = [each.decode() for each in sent if each[:1] == b"m"]
    assert names == ["m1", "m2", "m3"]
    assert sent[-1] == b"m3"
    assert packets(sent) == [2] * 12 + [1], "its end is not kept back"


def test_where_the_voice_is_late_what_there_is_goes_out_with_a_mark() -> None:
    one, talk, sent = mouth(3, packet_ms=40)
    talk.says_ends = False
    run(one, 1)
    assert packets(sent) == [2, 1]
    assert sent[-1] == b"m1"


def test_a_stop_tells_what_was_heard_and_clears() -> None:
    one, talk, sent = mouth(100, packet_ms=20, has_marks=False)
    now = run(one, 26)
    one.stop(now - 0.02)
    assert sent[-1] == b"clear"
    assert talk.played == pytest.approx(25 * 160, abs=2)
    one.stop(now)
    assert sent.count(b"clear") == 1, "there is nothing more to clear"


def test_a_peer_that_was_all_heard_by_our_account_is_told_too() -> None:
    one, _, sent = mouth(5, packet_ms=20, has_marks=False)
    run(one, 30)
    one.stop(5.5)
    assert sent[-1] == b"clear", "it may be later than we think"
    one, _, sent = mouth(5, packet_ms=20, has_marks=False)
    run(one, 60)
    one.stop(6.5)
    assert b"clear" not in sent


def test_what_cannot_be_cleared_will_be_heard() -> None:
    one, talk, sent = mouth(100, has_clear=False, has_marks=False)
    one.tick(5.0, may_play=True)
    one.stop(5.0)
    assert talk.played == AHEAD_MS * 8
    assert b"clear" not in sent


def test_with_enough_ahead_nothing_is_done_until_there_is_room_for_a_packet() -> None:
    one, _, sent = mouth(100, packet_ms=100)
    one.tick(5.0, may_play=True)
    assert packets(sent) == [5, 5]
    assert [5.0 + tick * 0.02 < one.rests_until for tick in range(1, 6)] == [True, True, True, True, False]
    run(one, 5, 5.02)
    assert packets(sent) == [5, 5, 5]
    one.stop(5.11)
    assert one.rests_until <= 5.11, "what was cleared leaves room"


def test_silence_rests_until_there_is_audio_but_is_asked_again_all_the_same() -> None:
    one, talk, sent = mouth(0)
    one.tick(5.0, may_play=True)
    assert 5.08 < one.rests_until <= 5.11
    one.tick(5.12, may_play=True)
    talk.frames.append(np.ones(160, np.int16))
    one.tick(5.14, may_play=True)
    assert sent == []
    one.wake()
    one.tick(5.14, may_play=True)
    assert packets(sent) == [1]


def test_what_was_said_is_heard_to_its_end_before_silence_rests() -> None:
    one, talk, _ = mouth(2, packet_ms=100)
    now = 5.0
    while now >= one.rests_until:
        one.tick(now, may_play=True)
        now += 0.02
    assert talk.played == 320
    assert now < 5.12


def test_a_packet_and_its_mark_leave_together() -> None:
    one, _, _ = mouth(5, packet_ms=100)
    sends: list[list[bytes]] = []
    one._send = lambda each: sends.append([send.data for send in each])
    one.tick(5.0, may_play=True)
    assert [len(each) for each in sends if each] == [2]


def test_a_peer_that_plays_what_arrives_gets_one_frame_a_tick() -> None:
    one, talk, sent = mouth(10, buffers=False, has_clear=False, has_marks=False)
    run(one, 4)
    assert packets(sent) == [1, 1, 1, 1]
    assert talk.played == 0, "taking counts as hearing there"


def test_a_peer_that_wants_long_packets_gets_silence_at_the_end_which_nobody_hears() -> None:
    one, talk, sent = mouth(13, packet_ms=200, least_ms=200, has_marks=False)
    run(one, 40)
    assert packets(sent) == [10, 10]
    assert not np.frombuffer(sent[1], np.int16)[3 * 160 :].any()
    assert talk.played == 13 * 160


def test_a_carrier_that_does_not_read_gets_nothing() -> None:
    one, talk, sent = mouth(10)
    one.tick(5.0, may_play=False)
    assert (sent, len(talk.frames)) == ([], 10)


def test_what_is_said_is_told_to_the_echo_gate_at_the_time_it_is_played() -> None:
    class Heard(EchoGate):
        def __init__(self) -> None:
            super().__init__()
            self.said_at: list[float] = []
            self.stopped_at: list[float] = []

        def said(self, frames: npt.NDArray[np.int16], at_s: float) -> None:
            self.said_at += [round(at_s + index * 0.02, 3) for index in range(len(frames))]

        def stopped(self, at_s: float) -> None:
            self.stopped_at.append(round(at_s, 3))

    echo = Heard()
    one, _, _ = mouth(100, echo, packet_ms=40, has_marks=False)
    one.tick(5.0, may_play=True)
    assert echo.said_at == [5.0, 5.02, 5.04, 5.06, 5.08, 5.1, 5.12, 5.14, 5.16, 5.18]
    one.stop(5.05)
    assert echo.stopped_at == [5.15]
    echo = Heard()
    one, _, _ = mouth(5, echo, buffers=False, has_clear=False, has_marks=False)
    run(one, 2)
    assert echo.said_at == [5.0, 5.02]


def test_when_the_connection_is_over_what_was_heard_is_settled() -> None:
    one, talk, _ = mouth(100, packet_ms=20, has_marks=False)
    run(one, 1)
    one.part(5.1)
    assert talk.played == pytest.approx(800, abs=1)
