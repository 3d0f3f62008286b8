"""How often a caller's loudspeaker interrupts the agent, and whether a caller who speaks over it still does.

Real speech: one voice is the agent, another the caller. The agent's speech goes through mu-law, a delay and a room (a
decay of 120 ms) and comes back at each level; the gate stands where it stands in a call, then Silero decides.
``python -m benchmarks.self_echo --out benchmarks/results/self_echo.json``
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audiocodecs import g711
from audiocodecs.resample import resample_whole
from benchmarks.corpus import recorded
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from gateway.phone.echo import EchoGate
from pipeline.adapters.silero import SileroVoiceActivity
from pipeline.vad import VadConfig, VoiceBegan, VoiceEdges
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Frame, Samples

RATE_HZ = 8_000
LEVELS_DB = (-6, -12, -20, -30)
DELAYS_MS = (60, 140, 250, 400)
AGENT_DBFS, CALLER_DBFS, NOISE = -20, -22, 15.0
CALLER_AT_S = 3.0
Wave = npt.NDArray[np.float64]


def loud(samples: Samples, dbfs: float) -> Wave:
    """The samples with their voiced part at ``dbfs``."""
    wave = samples.astype(np.float64)
    voiced = wave[np.abs(wave) > 300]
    scaled: Wave = wave / np.sqrt((voiced**2).mean()) * 32768 * 10 ** (dbfs / 20)
    return scaled


def room(wave: Wave, delay_ms: int, level_db: float, seed: int) -> Wave:
    """What comes back of ``wave``."""
    noise = np.random.default_rng(seed).normal(size=RATE_HZ // 4)
    response = noise * np.exp(-6.9 * np.arange(noise.size) / (0.12 * RATE_HZ))
    response[0] = 3.0
    response /= np.sqrt((response**2).sum())
    late = np.concatenate([np.zeros(delay_ms * RATE_HZ // 1000), np.convolve(wave, response)])[: wave.size]
    scaled: Wave = late * 10 ** (level_db / 20)
    return scaled


def over_the_line(wave: Wave, seed: int) -> Samples:
    """Mu-law and some noise, at 16 kHz."""
    noisy = wave + np.random.default_rng(seed).normal(size=wave.size) * NOISE
    coded = g711.ulaw_decode(g711.ulaw_encode(np.clip(noisy, -32768, 32767).astype(np.int16)))
    return resample_whole(coded, RATE_HZ, 2 * RATE_HZ)


def through_the_gate(said: Samples, came: Samples, *, gated: bool) -> list[Frame]:
    """The frames that reach the agent's ears."""
    gate, out = EchoGate(), list[Frame]()
    for index in range(min(said.size // 160, came.size // 320)):
        at_s = 100 + index * 0.02
        gate.said(said[None, index * 160 : (index + 1) * 160], at_s)
        frame = came[index * 320 : (index + 1) * 320]
        out += gate.heard(frame, at_s) if gated else (frame,)
    return out


async def began_s(activity: SileroVoiceActivity, frames: Sequence[Frame]) -> list[float]:
    """When speech was found to have begun, seconds from the first frame."""
    edges, found = VoiceEdges(VadConfig()), list[float]()

    def judge(probability: float, end_sample: int) -> None:
        if isinstance(edges.feed(probability, end_sample), VoiceBegan):
            found.append(end_sample / 16_000)

    detector = activity.open(judge)
    for index, frame in enumerate(frames):
        detector.push(frame)
        if index % 20 == 19:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    detector.close()
    return found


async def measure() -> dict[str, object]:
    clips = recorded("speech")
    agents = [clip for clip in clips if clip.samples.size / PIPELINE_RATE_HZ > 6][:5]
    callers = [clip for clip in clips if 1.5 < clip.samples.size / PIPELINE_RATE_HZ < 6][:5]
    pairs = [(agent.at(RATE_HZ), caller.at(RATE_HZ)) for agent in agents for caller in callers]
    async with AsyncExitStack() as stack:
        activity = await stack.enter_async_context(SileroVoiceActivity())
        rows = [await _level(activity, level, pairs) for level in (None, *LEVELS_DB)]
    return {"levels": rows, "pairs": len(pairs)}


async def _level(
    activity: SileroVoiceActivity, level: float | None, pairs: list[tuple[Samples, Samples]]
) -> dict[str, object]:
    false_with, false_without, minutes, late, missed = 0, 0, 0.0, list[float](), 0
    for number, (agent, caller) in enumerate(pairs):
        said = loud(agent, AGENT_DBFS)
        back = np.zeros(said.size) if level is None else room(said, DELAYS_MS[number % len(DELAYS_MS)], level, number)
        coded = g711.ulaw_decode(g711.ulaw_encode(np.clip(said, -32768, 32767).astype(np.int16)))
        came = over_the_line(back, number)
        minutes += said.size / RATE_HZ / 60
        false_with += len(await began_s(activity, through_the_gate(coded, came, gated=True)))
        false_without += len(await began_s(activity, through_the_gate(coded, came, gated=False)))
        voice = np.zeros(said.size)
        start = int(CALLER_AT_S * RATE_HZ)
        spoken = loud(caller, CALLER_DBFS)[: said.size - start]
        voice[start : start + spoken.size] = spoken
        first = start + int(np.argmax(np.abs(spoken) > 1000))
        found = await began_s(activity, through_the_gate(coded, over_the_line(back + voice, number), gated=True))
        after = [at for at in found if at > first / RATE_HZ]
        late += [1000 * (after[0] - first / RATE_HZ)] if after else []
        missed += not after
    return {
        "echo_db": level,
        "false_barge_ins_a_minute": round(false_with / minutes, 2),
        "false_barge_ins_a_minute_without_gate": round(false_without / minutes, 2),
        "caller_found_after_ms": {str(q): round(float(np.percentile(late, q))) for q in (50, 90)} if late else {},
        "caller_missed": missed,
        "of": len(pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    write_results(arguments.out, this_machine(), self_echo=asyncio.run(measure()))


if __name__ == "__main__":
    main()
