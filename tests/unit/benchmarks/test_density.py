"""The figures of the density benchmark from what its callers noted, and the callers' own protocol."""

import json
from pathlib import Path

import numpy as np
import pytest

from audiocodecs.g711 import ulaw_encode
from benchmarks.density import evaluate, gaps_ms, underrun
from benchmarks.density_client import Caller, Question, framed, frames, load_questions, save_questions
from gateway.websocket.rfc6455 import MessageReader, binary_frame, text_frame

FRAME = 0.02


def test_gaps_are_those_of_play_times() -> None:
    assert gaps_ms([]) == []
    assert gaps_ms([1.0, 1.0, 1.0]) == pytest.approx([20, 20]), "early messages wait for their turn"
    assert gaps_ms([1.0, 1.05, 1.06]) == pytest.approx([50, 20])


def test_an_underrun_is_a_message_behind_the_jitter_buffer() -> None:
    steady = [n * FRAME for n in range(10)]
    assert not underrun(steady)
    assert not underrun([*steady[:5], *(each + 0.059 for each in steady[5:])])
    assert underrun([*steady[:5], *(each + 0.061 for each in steady[5:])])


def test_a_stage_from_what_its_clients_wrote() -> None:
    turn = {"sent": 10.0, "sent_ms": 1000.0, "stopped_ms": 1030.0, "arrivals": [10.75, 10.77, 10.79]}
    early = turn | {"sent": 4.0}
    silent = turn | {"sent": 11.0, "arrivals": []}
    clients = [
        {"since": 5.0, "until": 20.0, "late_ms": [1.0], "failures": [], "turns": [turn, early]},
        {"since": 4.0, "until": 21.0, "late_ms": [3.0], "failures": ["closed"], "turns": [silent]},
    ]
    stage = evaluate(10, clients, planned_ms=700.0, cpu_s=0.6, seconds=30.0, memory_mb=5.0)
    assert (stage.replies, stage.unanswered, stage.failures) == (1, 1, ["closed"])
    assert stage.overhead_ms is not None
    assert stage.overhead_ms.median == pytest.approx(20.0)
    assert (stage.cpu_ms_per_call_second, stage.core_share, stage.memory_mb_per_call) == (2.0, 0.02, 0.5)
    assert not stage.holds
    good = evaluate(10, clients[:1], planned_ms=700.0, cpu_s=0.6, seconds=30.0, memory_mb=5.0)
    assert good.holds


class Wire:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None: ...


def test_a_caller_asks_after_the_greeting_and_notes_what_comes() -> None:
    speech = np.arange(480, dtype=np.int16) * 50
    caller = Caller("x", frames(np.zeros(160, np.int16)), [Question(frames(speech), last_voiced=200)], slot=0)
    wire = Wire()
    caller.connection_made(wire)  # type: ignore[arg-type]
    caller.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + binary_frame(b"greeting"))
    assert caller.live
    stopped = text_frame(json.dumps({"type": "speech.stopped", "audioMs": 77}).encode())
    caller.data_received(text_frame(b'{"type":"reply.finished"}'))
    wire.sent.clear()
    for _ in range(24):
        caller.tick()
    heard = [message for each in wire.sent for message in MessageReader(1000).feed(each)]
    assert heard[19:22] == [ulaw_encode(speech[at : at + 160]) for at in (0, 160, 320)]
    assert [turn.sent_ms for turn in caller.turns] == [20 * 20 + 40 / 8]
    both = stopped + binary_frame(b"\xfe" * 160)  # as good as silent
    for at in range(len(both)):
        caller.data_received(both[at : at + 1])
    assert caller.turns[0].stopped_ms == 77
    assert len(caller.turns[0].arrivals) == 1
    assert caller.turns[0].voiced < 0
    caller.data_received(binary_frame(ulaw_encode(np.full(160, 3000, np.int16))))
    assert caller.turns[0].voiced == caller.turns[0].arrivals[1]
    caller.data_received(b"\x88\x02" + (1013).to_bytes(2))
    assert caller.failure
    assert not caller.live


def test_a_refused_caller_says_why() -> None:
    caller = Caller("x", [], [], 0)
    wire = Wire()
    wire.abort = wire.close  # type: ignore[attr-defined]
    caller.connection_made(wire)  # type: ignore[arg-type]
    caller.data_received(b"HTTP/1.1 503 Service")
    caller.data_received(b" Unavailable\r\nRetry-After: 5\r\n\r\n")
    assert caller.failure.startswith("HTTP/1.1 503")


def test_frames_of_a_client_are_masked() -> None:
    assert MessageReader(10_000).feed(framed(b"x" * 160, 2) + framed(b"hi", 1)) == [b"x" * 160, "hi"]


def test_questions_are_found_again_in_their_order(tmp_path: Path) -> None:
    first, second = np.arange(320, dtype=np.int16), np.full(160, 5000, np.int16)
    save_questions(tmp_path / "asked.npz", [(first, 300), (second, 20)])
    found = load_questions(tmp_path / "asked.npz")
    assert [each.last_voiced for each in found] == [300, 20]
    heard = [message for question in found for each in question.messages for message in MessageReader(1000).feed(each)]
    assert heard == [ulaw_encode(first[:160]), ulaw_encode(first[160:]), ulaw_encode(second)]
