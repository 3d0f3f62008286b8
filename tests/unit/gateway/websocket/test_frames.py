"""Audio of any length into a call, without stalling the other calls."""

import asyncio
from typing import cast

import numpy as np

from gateway.conversation import Conversation
from gateway.websocket.frames import FRAMES_A_TURN, FrameFeed
from voicegate.kernel.audio import Frame


class Taking:
    """The two methods of a conversation that a feed calls."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended = 0

    def push_audio(self, frame: Frame) -> None:
        self.frames.append(frame)

    def end_utterance(self) -> None:
        self.ended += 1


def feed() -> tuple[FrameFeed, Taking]:
    taking = Taking()
    return FrameFeed(cast(Conversation, taking)), taking


async def test_samples_of_any_length_become_frames_and_the_end_is_padded() -> None:
    into, call = feed()
    samples = np.arange(1, 1001, dtype=np.int16)
    for part in (samples[:1], samples[1:1], samples[1:700], samples[700:]):
        await into.push(part)
    assert [frame.size for frame in call.frames] == [320] * 3
    assert call.ended == 0
    await into.end_utterance()
    heard = np.concatenate(call.frames)
    assert heard[:1000].tolist() == samples.tolist()
    assert heard[1000:].tolist() == [0] * 280
    assert call.ended == 1


async def test_a_long_upload_gives_the_loop_its_turn() -> None:
    into, call = feed()
    most_at_once = 0

    async def watch() -> None:
        nonlocal most_at_once
        before = 0
        while True:
            most_at_once = max(most_at_once, len(call.frames) - before)
            before = len(call.frames)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        await asyncio.sleep(0)
        await into.push(np.zeros(320 * 1000, np.int16))
        await asyncio.sleep(0)
        watching.cancel()
    assert len(call.frames) == 1000
    assert most_at_once == FRAMES_A_TURN
