"""A stream gets what the bundled graph gives it, and batches are made of what is ready."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pipeline.adapters.silero import SileroConfig, SileroVoiceActivity
from pipeline.adapters.silero_model import STATE_SIZE, FloatArray, SileroModel, bundled_model
from voicegate.kernel.errors import ConfigError, ProviderError


def windows(seed: int, count: int) -> FloatArray:
    """Consecutive windows of one stream: tones and noise in turn, each with the 64 samples before it."""
    rng = np.random.default_rng(seed)
    at = np.arange(count * 512) / 16000
    sound = 0.3 * np.sin(2 * np.pi * (150 + 40 * seed) * at) * (np.sin(2 * np.pi * 3 * at) > 0)
    stream = np.concatenate([np.zeros(64), sound + rng.normal(size=at.size) * 0.02]).astype(np.float32)
    return np.stack([stream[i * 512 : i * 512 + 576] for i in range(count)])


@pytest.mark.parametrize("data", [b"", b"not a model", b":\x00"])
async def test_another_graph_is_refused_by_name_and_leaves_no_thread(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"other\.onnx"):
        await SileroVoiceActivity(SileroConfig(path=path)).start()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("silero")]


async def test_a_closed_stream_leaves_nothing_to_the_next_one() -> None:
    """A slot is used again: the newcomer begins with the state of silence, whatever the last one heard."""
    sound = (windows(3, 12)[:, 64:].reshape(-1) * 32768).astype(np.int16)

    async def heard(activity: SileroVoiceActivity) -> list[float]:
        got: list[float] = []
        done = asyncio.Event()

        def take(probability: float, end_sample: int) -> None:
            got.append(probability)
            if end_sample == 12 * 512:
                done.set()

        detector = activity.open(take)
        for at in range(0, sound.size, 320):
            detector.push(sound[at : at + 320])
        await asyncio.wait_for(done.wait(), 10)
        detector.close()
        return got

    async with SileroVoiceActivity() as activity:
        first = await heard(activity)
        others = [activity.open(lambda probability, end: None) for _ in range(40)]
        for other in others:
            other.push(np.full(320, 20_000, np.int16))
            other.push(np.full(320, -20_000, np.int16))
        await asyncio.sleep(0.01)
        for other in others:
            other.close()
        assert np.allclose(await heard(activity), first, atol=1e-6)


class CountingModel:
    """Takes the model's place to see the batches."""

    def __init__(self, inner: SileroModel) -> None:
        self.inner = inner
        self.sizes: list[int] = []

    def run(self, batch: FloatArray, h: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        self.sizes.append(len(batch))
        return self.inner.run(batch, h, c)


async def test_a_detector_gives_what_the_bundled_graph_gives_for_the_whole_stream() -> None:
    bundled = onnxruntime.InferenceSession(str(bundled_model()), providers=["CPUExecutionProvider"])
    sound = (windows(3, 40)[:, 64:].reshape(-1) * 32768).astype(np.int16)
    zero = np.zeros((1, 1, STATE_SIZE), np.float32)
    padded = np.concatenate([np.zeros(64, np.int16), sound]).astype(np.float32) / 32768
    whole = np.stack([padded[i * 512 : i * 512 + 576] for i in range(40)])
    expected = bundled.run(None, {"input": whole, "h": zero, "c": zero})[0]
    got: list[float] = []
    done = asyncio.Event()

    def take(probability: float, end_sample: int) -> None:
        got.append(probability)
        if end_sample == 40 * 512:
            done.set()

    async with SileroVoiceActivity() as activity:
        detector = activity.open(take)
        for at in range(0, sound.size, 320):
            detector.push(sound[at : at + 320])
        await asyncio.wait_for(done.wait(), 10)
    assert np.abs(np.array(got) - expected).max() < 1e-5


async def test_windows_of_all_detectors_share_a_call() -> None:
    async with SileroVoiceActivity(SileroConfig(coalesce_s=0.1)) as activity:
        assert activity._model is not None
        model = CountingModel(activity._model)
        activity._model = model  # type: ignore[assignment]
        left = 16 * 5
        done = asyncio.Event()

        def count(probability: float, end_sample: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()

        detectors = [activity.open(count) for _ in range(16)]
        for _ in range(8):
            for detector in detectors:
                detector.push(np.zeros(320, np.int16))
                await asyncio.sleep(0)  # sessions get their frames in turns of the loop of their own
        await asyncio.wait_for(done.wait(), 10)
        assert model.sizes[1:-1] == [16] * (len(model.sizes) - 2), "the first ones waited for nobody"
        assert len(model.sizes) <= 6


async def test_many_windows_go_in_several_batches_and_nobody_starves() -> None:
    async with SileroVoiceActivity(SileroConfig(batch_windows=4)) as activity:
        assert activity._model is not None
        model = CountingModel(activity._model)
        activity._model = model  # type: ignore[assignment]
        order: list[int] = []
        done = asyncio.Event()

        def take(number: int) -> None:
            order.append(number)
            if len(order) == 20:
                done.set()

        detectors = [activity.open(lambda probability, end, number=n: take(number)) for n in range(10)]  # type: ignore[misc]
        for detector in detectors:
            for _ in range(4):
                detector.push(np.zeros(320, np.int16))
        await asyncio.wait_for(done.wait(), 10)
        assert model.sizes == [4] * 5
        assert order == [*range(10), *range(10)], "first come, first served"


async def test_a_lone_detector_does_not_wait_for_others() -> None:
    async with SileroVoiceActivity(SileroConfig(coalesce_s=3600.0)) as activity:
        came = asyncio.Event()
        detector = activity.open(lambda probability, end: came.set())
        for _ in range(2):
            detector.push(np.zeros(320, np.int16))
        await asyncio.wait_for(came.wait(), 10)


async def test_a_backlog_loses_its_oldest_windows_and_keeps_count() -> None:
    async with SileroVoiceActivity(SileroConfig(backlog_windows=3)) as activity:
        ends: list[int] = []
        came = asyncio.Event()

        def take(probability: float, end_sample: int) -> None:
            ends.append(end_sample)
            if end_sample == 20 * 512:
                came.set()

        detector = activity.open(take)
        for _ in range(32):
            detector.push(np.zeros(320, np.int16))
        await asyncio.wait_for(came.wait(), 10)
        assert ends == [18 * 512, 19 * 512, 20 * 512]


async def test_closing_the_engine_closes_detectors_and_its_thread() -> None:
    told: list[int] = []
    activity = SileroVoiceActivity()
    with pytest.raises(ProviderError):
        activity.open(lambda probability, end: None)
    async with activity:
        detector = activity.open(lambda probability, end: told.append(end))
        for _ in range(20):
            detector.push(np.zeros(320, np.int16))
    at_close = len(told)
    detector.push(np.zeros(320, np.int16))
    await asyncio.sleep(0.01)
    assert len(told) == at_close
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("silero")]
    with pytest.raises(ProviderError):
        activity.open(lambda probability, end: None)
