"""A caller's loudspeaker, over a real socket: what comes back of the agent does not reach its ears."""

import asyncio
import base64

import numpy as np
import pytest

from audiocodecs import g711
from tests.integration.gateway.phone.ringing import ringing, soon
from tests.integration.gateway.phone.wire_talk import closed_with, connected, media, start
from tests.integration.gateway.phone.wire_talk import say as send
from voicegate.kernel.audio import Samples

DELAY_FRAMES = 9
SILENCE = bytes([0xFF]) * 160


def voice(seconds: float) -> Samples:
    """Syllables of changing loudness and colour, 16 kHz."""
    random = np.random.default_rng(4)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * 16_000:
        size = int(random.integers(1_500, 4_000))
        spectrum = np.fft.rfft(random.normal(size=size))
        low = random.integers(300, 1_800)
        pitch = np.fft.rfftfreq(size, 1 / 16_000)
        spectrum[(pitch < low) | (pitch > low + 900)] = 0
        sound = np.fft.irfft(spectrum, size) * np.hanning(size)
        parts += [sound / np.abs(sound).max() * random.uniform(4_000, 12_000), np.zeros(int(random.integers(0, 2_500)))]
    return np.concatenate(parts)[: int(seconds * 16_000)].astype(np.int16)


@pytest.mark.parametrize(("gate", "most"), [(True, 0.3), (False, 1.0)])
async def test_the_agent_does_not_hear_itself(gate: bool, most: float) -> None:
    async with ringing(phone_echo_gate=gate) as gateway, connected(gateway) as socket:
        await send(socket, start())
        call = await gateway.answered()
        line: list[bytes] = []

        async def loudspeaker() -> None:
            """Plays what comes in real time, and picks it up again with a quarter of its loudness."""
            sent = 0
            began = asyncio.get_running_loop().time()
            room = [SILENCE] * DELAY_FRAMES
            while True:
                room.append(line.pop(0) if line else SILENCE)
                back = g711.ulaw_encode((g711.ulaw_decode(room.pop(0)) * 0.25).astype(np.int16))
                await send(socket, media(back, sent * 20))
                sent += 1
                await asyncio.sleep(max(0.0, began + sent * 0.02 - asyncio.get_running_loop().time()))

        async def carrier() -> None:
            while (message := await socket.receive()).type.name == "TEXT":
                fields = message.json()
                if fields["event"] == "media":
                    audio = base64.b64decode(fields["media"]["payload"])
                    line.extend(audio[at : at + 160] for at in range(0, len(audio), 160))
                elif fields["event"] == "mark":
                    await send(socket, fields)

        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(loudspeaker()), tasks.create_task(carrier())]
            call.say(voice(4.0))
            await soon(lambda: call.played_samples >= 3.9 * 8_000)
            for task in work:
                task.cancel()
        loud = sum(int(np.abs(frame.astype(np.int32)).max()) > 600 for frame in call.heard)
        assert (loud <= most * 4 * 50 * 0.6) if gate else (loud > 60), f"{loud} loud frames of 4 s"
        await send(socket, {"event": "stop", "streamSid": "MZ1"})
        await closed_with(socket)
        name = "voicegate_phone_echo_seconds_total"
        assert (gateway.count(name, provider="twilio") > 1.0) is gate
