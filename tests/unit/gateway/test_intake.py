"""Packets of many calls are decoded together, and each call hears its own in order."""

import asyncio
import os

import numpy as np
import pytest

from audiocodecs.registry import StreamDecoder, open_decoder
from gateway.intake import Intake
from voicegate.kernel.audio import Frame


class Ear:
    def __init__(self, form: str = "pcmu") -> None:
        self.decoder: StreamDecoder = open_decoder(form, 8_000)
        self.reference: StreamDecoder = open_decoder(form, 8_000)
        self.expected: list[list[int]] = []
        self.frames: list[list[int]] = []
        self.begin = self.give(bytes(160))

    def give(self, packet: bytes) -> bytes:
        """Both decoders hear ``packet`` alone."""
        self.decoder.push(packet)
        self.reference.push(packet)
        return packet

    def hear(self, frame: Frame, power: float) -> None:
        self.frames.append(frame.tolist())
        assert power == pytest.approx(np.square(frame.astype(np.float64)).sum(), rel=1e-5)

    def send(self, intake: Intake) -> bool:
        packet = os.urandom(160)
        self.expected.append(self.reference.push(packet).tolist())
        return intake.add(self.decoder, packet, self.hear)


@pytest.mark.parametrize("count", [1, 2, 70])
async def test_every_call_hears_its_own(count: int) -> None:
    intake = Intake()
    ears = [Ear("pcma" if n % 3 == 0 else "pcmu") for n in range(count)]
    for _ in range(3):
        assert all(ear.send(intake) for ear in ears)
        assert all(len(ear.frames) < len(ear.expected) for ear in ears), "nothing is decoded at once"
        while any(len(ear.frames) < len(ear.expected) for ear in ears):
            await asyncio.sleep(0.001)
    assert all(ear.frames == ear.expected for ear in ears)


async def test_two_packets_of_one_stream_keep_their_order() -> None:
    intake, ear, other = Intake(), Ear(), Ear()
    assert ear.send(intake)
    assert other.send(intake)
    assert ear.send(intake)
    assert ear.send(intake)
    assert ear.frames == []
    intake.settle()
    assert ear.frames == ear.expected
    assert other.frames == other.expected
    intake.settle()
    assert len(ear.frames) == 3


async def test_what_does_not_fit_leaves_nothing_of_its_stream_behind() -> None:
    intake, ear = Intake(), Ear()
    assert ear.send(intake)
    assert not intake.add(ear.decoder, bytes(80), ear.hear)
    assert ear.frames == ear.expected
    assert not intake.add(open_decoder("pcm16", 16_000), bytes(640), ear.hear)
    fresh = open_decoder("pcmu", 8_000)
    assert not intake.add(fresh, bytes(160), ear.hear), "its first packet goes alone"
    assert np.any(fresh.push(bytes(160)))


async def test_where_enough_wait_nobody_waits_longer() -> None:
    intake, ears = Intake(), [Ear() for _ in range(80)]
    for ear in ears:
        assert ear.send(intake)
    while not ears[-1].frames:
        await asyncio.sleep(0)
    before = len(ears[0].frames)
    for ear in ears[:63]:
        ear.send(intake)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(ears[0].frames) == before, "they wait for others"
    ears[63].send(intake)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(ears[0].frames) == before + 1
