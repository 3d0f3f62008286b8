"""What every voice activity engine must keep."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest

from pipeline.adapters.silero import SileroVoiceActivity
from pipeline.adapters.webrtc_vad import WebrtcVoiceActivity
from pipeline.ports import VoiceActivity
from voicegate.kernel.audio import Frame, Samples

FRAME = 320


@pytest.fixture(params=["silero", "webrtcvad"])
async def activity(request: pytest.FixtureRequest) -> AsyncIterator[VoiceActivity]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "silero":
                yield await stack.enter_async_context(SileroVoiceActivity())
            case _:
                yield WebrtcVoiceActivity()


def frames(samples: Samples) -> list[Frame]:
    return [samples[at : at + FRAME] for at in range(0, samples.size - FRAME + 1, FRAME)]


def hum(seconds: float, seed: int = 0) -> Samples:
    """A voice-like sound: pulses at 120 Hz through two resonances, four syllables a second."""
    t = np.arange(int(seconds * 16000)) / 16000
    pulses = (np.diff(np.floor(t * (120 + seed)), prepend=0.0) > 0).astype(float)
    ring = np.exp(-np.arange(200) / 40) * (np.cos(np.arange(200) * 0.27) + np.cos(np.arange(200) * 0.7))
    voice = np.convolve(pulses, ring)[: t.size] * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    scaled: Samples = (voice / np.abs(voice).max() * 12000).astype(np.int16)
    return scaled


class Collected:
    def __init__(self) -> None:
        self.windows: list[tuple[float, int]] = []
        self.threads: set[int] = set()
        self.arrived = asyncio.Event()

    def __call__(self, probability: float, end_sample: int) -> None:
        self.windows.append((probability, end_sample))
        self.threads.add(threading.get_ident())
        self.arrived.set()

    async def until(self, end_sample: int) -> None:
        while not self.windows or self.windows[-1][1] < end_sample:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 10)


async def test_every_window_comes_once_in_order_on_the_loop(activity: VoiceActivity) -> None:
    got = Collected()
    detector = activity.open(got)
    for frame in frames(hum(1.0)):
        detector.push(frame)
    assert got.windows == [], "a push returns before any callback"
    await got.until(15_872)
    ends = [end for _, end in got.windows]
    steps = set(np.diff([0, *ends]).tolist())
    assert len(steps) == 1, f"windows of one length without a gap, not {steps}"
    assert all(0 <= probability <= 1 for probability, _ in got.windows)
    assert got.threads == {threading.get_ident()}
    detector.close()


async def test_sound_like_a_voice_is_likelier_than_silence(activity: VoiceActivity) -> None:
    got = Collected()
    detector = activity.open(got)
    for frame in frames(np.concatenate([np.zeros(16_000, np.int16), hum(1.0)])):
        detector.push(frame)
    await got.until(31_744)
    quiet = [p for p, end in got.windows if 3_200 < end <= 16_000]
    voiced = [p for p, end in got.windows if end > 19_200]
    assert max(quiet) < 0.3
    assert np.mean(voiced) > np.mean(quiet) + 0.2
    detector.close()


async def test_streams_do_not_touch_one_another(activity: VoiceActivity) -> None:
    sounds = [hum(0.6, seed) for seed in range(5)]
    alone = []
    for sound in sounds:
        got = Collected()
        detector = activity.open(got)
        for frame in frames(sound):
            detector.push(frame)
        await got.until(9_216)
        detector.close()
        alone.append(got.windows)
    together = [Collected() for _ in sounds]
    detectors = [activity.open(got) for got in together]
    for row in zip(*map(frames, sounds), strict=True):
        for detector, frame in zip(detectors, row, strict=True):
            detector.push(frame)
        await asyncio.sleep(0)
    for got, detector, windows in zip(together, detectors, alone, strict=True):
        await got.until(9_216)
        detector.close()
        assert [end for _, end in got.windows] == [end for _, end in windows]
        assert np.allclose([p for p, _ in got.windows], [p for p, _ in windows], atol=1e-5)


async def test_nothing_comes_after_close(activity: VoiceActivity) -> None:
    closed, other = Collected(), Collected()
    detector, beside = activity.open(closed), activity.open(other)
    for frame in frames(hum(0.5)):
        detector.push(frame)
        beside.push(frame)
    detector.close()
    detector.push(hum(0.02))
    detector.close()
    await other.until(7_680)
    assert closed.windows == []
    beside.close()


async def test_a_callback_may_close_any_detector(activity: VoiceActivity) -> None:
    later = Collected()
    first = Collected()

    def close_both(probability: float, end_sample: int) -> None:
        first(probability, end_sample)
        one.close()
        two.close()

    one, two = activity.open(close_both), activity.open(later)
    witness = Collected()
    three = activity.open(witness)
    for frame in frames(hum(0.2)):
        one.push(frame)
        two.push(frame)
        three.push(frame)
    await witness.until(3_072)
    assert len(first.windows) == 1
    assert later.windows == []
    three.close()


async def test_a_failing_callback_leaves_the_others_alone(activity: VoiceActivity) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def broken(probability: float, end_sample: int) -> None:
        raise LookupError("callback")

    got = Collected()
    bad, good = activity.open(broken), activity.open(got)
    for frame in frames(hum(0.1)):
        bad.push(frame)
        good.push(frame)
    await got.until(1_536)
    assert reported
    assert all(isinstance(error, LookupError) for error in reported)
    bad.close()
    good.close()
