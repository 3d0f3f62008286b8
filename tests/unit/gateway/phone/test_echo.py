"""What comes back of our own voice is told from a caller's: made voices, real rooms of numbers, and real speech.

``benchmarks/self_echo.py`` measures the same on real voices with real voice activity.
"""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from audiocodecs.wav import decode_wav
from gateway.phone.echo import BANDS, HELD_FRAMES, EchoGate, bands, power_of
from voicegate.kernel.audio import Frame

CLIPS = Path(os.environ.get("VOICEGATE_TEST_SPEECH", Path(__file__).parents[5] / "shared" / "audio"))
FRAME = 320
Wave = npt.NDArray[np.float64]


def voice(seconds: float, seed: int) -> Wave:
    """Syllables: noise in changing bands with changing loudness, 16 kHz. Every seed is another speaker."""
    random = np.random.default_rng(seed)
    parts: list[Wave] = []
    while sum(map(len, parts)) < seconds * 16_000:
        size = int(random.integers(1_000, 4_000))
        low, wide = random.integers(300, 1_800), random.integers(300, 1_500)
        spectrum = np.fft.rfft(random.normal(size=size))
        pitch = np.fft.rfftfreq(size, 1 / 16_000)
        spectrum[(pitch < low) | (pitch > low + wide)] = 0
        sound = np.fft.irfft(spectrum, size) * np.hanning(size)
        parts += [sound / np.abs(sound).max() * random.uniform(2_000, 9_000), np.zeros(int(random.integers(0, 2_500)))]
    return np.concatenate(parts)[: int(seconds * 16_000)]


def back(wave: Wave, delay_ms: int, db: float) -> Wave:
    """The wave as a room gives it back."""
    response = np.random.default_rng(9).normal(size=800) * np.exp(-np.arange(800) / 200)
    response /= np.sqrt((response**2).sum())
    late = np.concatenate([np.zeros(delay_ms * 16), np.convolve(wave, response)])[: wave.size]
    echo: Wave = late * 10 ** (db / 20)
    return echo


def frames(wave: Wave) -> list[Frame]:
    whole = np.clip(wave[: wave.size // FRAME * FRAME], -32_768, 32_767).astype(np.int16)
    return list(whole.reshape(-1, FRAME))


def run(said: Wave, came: Wave, gate: EchoGate | None = None, *, burst: int = 1) -> list[Frame]:
    """A call: both sides frame by frame; ``burst`` frames come in one message."""
    gate, out = gate or EchoGate(), list[Frame]()
    ours, theirs = frames(said), frames(came)
    for index in range(0, len(ours), burst):
        for each in range(index, min(index + burst, len(ours))):
            gate.said(ours[each][None], 50 + each * 0.02)
        now = 50 + (index + burst - 1) * 0.02
        for each in range(index, min(index + burst, len(theirs))):
            out += gate.heard(theirs[each], now)
    return out


def part_that_passed(out: list[Frame], came: Wave, loud: float = 500.0) -> float:
    """Of the frames that were loud."""
    theirs = frames(came)[: len(out)]
    heard = [bool(kept.any()) for kept, frame in zip(out, theirs, strict=True) if np.abs(frame).max() > loud]
    return sum(heard) / len(heard)


@pytest.mark.parametrize("db", [-6, -20])
@pytest.mark.parametrize("delay_ms", [40, 180, 800])
def test_our_own_voice_does_not_come_in(db: float, delay_ms: int) -> None:
    said = voice(8, seed=1)
    came = back(said, delay_ms, db)
    assert part_that_passed(run(said, came), came, 200.0) < 0.15


@pytest.mark.parametrize("burst", [1, 5, 8])
def test_nor_in_messages_of_any_length(burst: int) -> None:
    said = voice(8, seed=2)
    came = back(said, 120, -12)
    assert part_that_passed(run(said, came, burst=burst), came, 200.0) < 0.15


@pytest.mark.parametrize("seed", range(3, 7))
def test_another_voice_over_ours_comes_in_whole(seed: int) -> None:
    said, other = voice(8, seed=1), voice(8, seed=seed)
    other[:16_000] = 0
    assert part_that_passed(run(said, other), other) > 0.97


@pytest.mark.parametrize("db", [-12, -20])
def test_a_caller_who_speaks_over_the_echo_is_let_through(db: float) -> None:
    said, other = voice(9, seed=1), voice(9, seed=4)
    other[: 5 * 16_000] = 0
    out = run(said, back(said, 180, db) + other)
    assert part_that_passed(out, other, 2_000.0) > 0.7


def test_nothing_waits_for_long_and_nothing_is_lost() -> None:
    said, other = voice(4, seed=1), voice(4, seed=5)
    gate = EchoGate()
    ours, theirs = frames(said), frames(other)
    waiting = given = 0
    for index, frame in enumerate(theirs):
        gate.said(ours[index][None], 50 + index * 0.02)
        given += len(gate.heard(frame, 50 + index * 0.02))
        waiting = max(waiting, index + 1 - given)
    assert 0 < waiting <= HELD_FRAMES
    assert given >= len(theirs) - HELD_FRAMES


def test_where_we_are_silent_nothing_is_judged() -> None:
    gate, other = EchoGate(), frames(voice(2, seed=3))
    assert [frame for index, each in enumerate(other) for frame in gate.heard(each, 50 + index * 0.02)] == other
    assert gate.echoes == 0


def test_a_line_that_gave_nothing_back_is_trusted_at_once() -> None:
    said = voice(6, seed=1)
    gate = EchoGate()
    run(said, np.zeros(said.size), gate)
    frame = frames(voice(1, seed=7))[10]
    gate.said(frames(said)[0][None], 56.0)
    assert len(gate.heard(frame, 56.02)) == 1


def test_what_was_cleared_was_never_said() -> None:
    said = voice(3, seed=1)
    gate = EchoGate()
    for index, frame in enumerate(frames(said)[:100]):
        gate.said(frame[None], 50 + index * 0.02)
    gate.stopped(50.0)
    came = frames(back(said, 100, -6))[:100]
    out = [each for index, frame in enumerate(came) for each in gate.heard(frame, 50 + index * 0.02)]
    assert gate.echoes == 0
    assert sum(bool(frame.any()) for frame in out) >= 60


def test_an_echo_that_moves_is_found_again() -> None:
    said = voice(12, seed=1)
    came = np.concatenate([back(said, 100, -12)[: 6 * 16_000], back(said, 300, -12)[6 * 16_000 :]])
    out = run(said, came)
    later = slice(8 * 50, len(out))
    assert part_that_passed(out[later], came[8 * 16_000 :], 200.0) < 0.2


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
def test_a_tone_has_the_same_power_in_the_same_band_at_every_rate(rate_hz: int) -> None:
    times = np.arange(rate_hz // 50) / rate_hz
    power = bands((8_000 * np.sin(2 * np.pi * 1_000 * times)).astype(np.int16)[None])[0]
    assert power.shape == (BANDS,)
    assert int(power.argmax()) == (1_000 // 50 - 6) // 4
    assert power.max() == pytest.approx(0.0223, rel=0.05)


@pytest.mark.skipif(not (CLIPS / "index.csv").is_file(), reason="set VOICEGATE_TEST_SPEECH")
@pytest.mark.parametrize("db", [-6, -20])
def test_real_voices(db: float) -> None:
    def clip(name: str) -> Wave:
        return decode_wav((CLIPS / name).read_bytes()).astype(np.float64)

    said = clip("lj_LJ001-0001.wav")
    came = back(said, 200, db)
    assert part_that_passed(run(said, came), came, 400.0) < 0.15
    other = np.zeros(said.size)
    near = clip("ps_austen_0880.wav")[: said.size - 48_000]
    other[48_000 : 48_000 + near.size] = near
    assert part_that_passed(run(said, came + other), other, 4_000.0) > 0.6


def test_quiet_frames_of_a_line_that_is_trusted_need_no_judgement() -> None:
    said = voice(6, seed=1)
    known, asked = EchoGate(), EchoGate()
    assert not known.is_known_quiet(), "whether it is quiet while we speak is what is to be learned"
    for gate in (known, asked):
        run(said, np.zeros(said.size), gate)
    ours, other = frames(voice(4, seed=3)), frames(voice(4, seed=7))
    quiet = np.zeros(320, np.int16)
    out: dict[EchoGate, list[Frame]] = {known: [], asked: []}
    for gate, given in out.items():
        for index, frame in enumerate(ours):
            at_s = 60 + index * 0.02
            gate.said(frame[None], at_s)
            heard = quiet if index % 3 else other[index]
            if gate is known and heard is quiet:
                assert gate.is_known_quiet()
                given.append(heard)
            else:
                given.extend(gate.heard(heard, at_s, power_of(heard)))
    assert all(map(np.array_equal, out[known], out[asked]))
    assert len(out[known]) == len(ours)
