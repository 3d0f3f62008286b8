"""Our simulated carriers against the serializers that pipecat has for them: each must understand the other.

Run by ``scripts/crosscheck-phones.sh``. The serializers were written by others from the same documents, and are used
with the real carriers. For each carrier they have: the caller's audio and keys arrive, their audio is played at the
caller's ear, and their interruption silences it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame, InterruptionFrame, OutputAudioRawFrame
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.genesys import GenesysAudioHookSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer

from voicegate.client.carriers.exotel import ExotelLeg
from voicegate.client.carriers.genesys import GenesysLeg
from voicegate.client.carriers.leg import CallFacts, Leg
from voicegate.client.carriers.plivo import PlivoLeg
from voicegate.client.carriers.telnyx import TelnyxLeg
from voicegate.client.carriers.twilio import TwilioLeg
from voicegate.client.carriers.vonage import VonageLeg

Samples = npt.NDArray[np.int16]
FACTS = CallFacts("call-1", "stream-1", "account-1")
RATE_HZ = 16_000
ALIKE = 0.95


@dataclass
class Pair:
    """A carrier of ours, and theirs."""

    leg: Leg
    serializer: FrameSerializer
    packet_ms: int = 20
    """Audio in one frame of theirs."""
    speaks_hz: int = RATE_HZ
    """Exotel takes whole units only: their resampler would cut it elsewhere."""

    async def begin(self) -> None:
        await self.serializer.setup(SimpleNamespace(audio_in_sample_rate=RATE_HZ))  # all that they ask of it
        for message in self.leg.begin():
            await self.to_them(message)

    async def to_them(self, message: str | bytes) -> object:
        frame = await self.serializer.deserialize(message)
        answer = getattr(frame, "message", None)
        if answer is not None:  # the session's own answers, such as Genesys' opened
            text = await self.serializer.serialize(frame)
            for more in self.leg.receive(text) if text else ():
                await self.to_them(more)
        return frame

    async def say(self, samples: Samples) -> tuple[Samples, Samples]:
        """The caller says something; what they got of it, and what was played meanwhile."""
        size = self.leg.rate_hz // 50
        heard, played = [], []
        for at in range(0, samples.size, size):
            tick = self.leg.tick(samples[at : at + size])
            played.append(np.zeros(size, np.int16) if tick.played is None else tick.played)
            for message in tick.messages:
                frame = await self.to_them(message)
                if isinstance(frame, InputAudioRawFrame):
                    heard.append(np.frombuffer(frame.audio, np.int16))
        return np.concatenate([*heard, np.zeros(0, np.int16)]), np.concatenate(played)

    async def speak(self, samples: Samples) -> None:
        """They say something at ``speaks_hz``."""
        size = self.speaks_hz * self.packet_ms // 1000
        for at in range(0, samples.size, size):
            frame = OutputAudioRawFrame(samples[at : at + size].tobytes(), self.speaks_hz, 1)
            message = await self.serializer.serialize(frame)
            if message:
                self.leg.receive(message)


def chirp(seconds: float, rate_hz: int) -> Samples:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    wave: Samples = (9000 * np.sin(2 * np.pi * (300 + 400 * t) * t)).astype(np.int16)
    return wave


def likeness(heard: Samples, said: Samples) -> float:
    """The best normalised correlation of ``said``'s middle with any stretch of ``heard``."""
    middle = said[said.size // 4 : -said.size // 4].astype(np.float64)
    row = np.pad(heard.astype(np.float64), (0, max(0, middle.size - heard.size)))
    energy = np.convolve(row**2, np.ones(middle.size), "valid")
    found = np.correlate(row, middle, "valid") / np.sqrt(np.maximum(energy, 1.0) * np.sum(middle**2))
    return float(np.max(found))


async def caller_is_heard(pair: Pair) -> str:
    said = chirp(1.0, pair.leg.rate_hz)
    heard, _ = await pair.say(np.pad(said, (0, pair.leg.rate_hz // 5)))
    alike = likeness(heard, chirp(1.0, RATE_HZ))
    assert alike > ALIKE, f"likeness {alike:.2f}"
    return f"{alike:.3f}"


async def they_are_played(pair: Pair) -> str:
    await pair.speak(chirp(1.0, pair.speaks_hz))
    _, played = await pair.say(np.zeros(pair.leg.rate_hz * 3 // 2, np.int16))
    alike = likeness(played, chirp(1.0, pair.leg.rate_hz))
    assert not pair.leg.dropped, dict(pair.leg.dropped)
    assert alike > ALIKE, f"likeness {alike:.2f}"
    return f"{alike:.3f}"


async def interruption_silences(pair: Pair) -> str:
    await pair.speak(chirp(2.0, pair.speaks_hz))
    _, before = await pair.say(np.zeros(pair.leg.rate_hz // 10, np.int16))
    message = await pair.serializer.serialize(InterruptionFrame())
    assert message, "nothing was said at an interruption"
    pair.leg.receive(message)
    _, after = await pair.say(np.zeros(pair.leg.rate_hz // 2, np.int16))
    assert before.any()
    assert not after.any()
    return "silent"


async def keys_arrive(pair: Pair) -> str:
    frames = [await pair.to_them(message) for message in pair.leg.press("5")]
    keys = [frame.button.value for frame in frames if isinstance(frame, InputDTMFFrame)]
    assert keys == ["5"], frames
    return "5"


CHECKS: dict[str, Callable[[Pair], Awaitable[str]]] = {
    "caller": caller_is_heard,
    "agent": they_are_played,
    "interruption": interruption_silences,
    "keys": keys_arrive,
}
PAIRS: dict[str, Callable[[], Pair]] = {
    "twilio": lambda: Pair(
        TwilioLeg(FACTS),
        TwilioFrameSerializer("stream-1", params=TwilioFrameSerializer.InputParams(auto_hang_up=False)),
    ),
    "telnyx": lambda: Pair(
        # Their reader takes messages as they come, so this leg keeps them in order.
        TelnyxLeg(FACTS, swap_every=0),
        TelnyxFrameSerializer("stream-1", "PCMU", "PCMU", params=TelnyxFrameSerializer.InputParams(auto_hang_up=False)),
    ),
    "plivo": lambda: Pair(
        PlivoLeg(FACTS), PlivoFrameSerializer("stream-1", params=PlivoFrameSerializer.InputParams(auto_hang_up=False))
    ),
    "vonage": lambda: Pair(
        VonageLeg(FACTS, rate_hz=16_000),
        VonageFrameSerializer(VonageFrameSerializer.InputParams(vonage_sample_rate=16_000)),
    ),
    "exotel": lambda: Pair(ExotelLeg(FACTS), ExotelFrameSerializer("stream-1"), packet_ms=200, speaks_hz=8_000),
    "genesys": lambda: Pair(GenesysLeg(FACTS), GenesysAudioHookSerializer()),
}


async def main() -> int:
    """Every check of every carrier; 1 if one failed."""
    logger.remove()
    failed = 0
    for name, make in PAIRS.items():
        for check, run in CHECKS.items():
            pair = make()
            try:
                await pair.begin()
                result = await run(pair)
            except AssertionError as error:
                failed, result = 1, f"FAILED: {error}"
            print(f"{name:8} {check:13} {result}")
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
