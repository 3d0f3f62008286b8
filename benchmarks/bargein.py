"""How quickly the agent stops when the caller speaks over it, and whether it knows how far it was heard.

``python -m benchmarks.bargein [--count 20] [--coughs 6] [--url ws://… | starts a gateway of its own] [--json FILE]``

The agent is asked for something long; at a random moment 0.1 to 3 s after its first voiced sample the caller says a
clip. *Stop* is measured on the waveforms: from the caller's first voiced sample to the last voiced sample of the reply
that was sent. *Heard* compares the gateway's account (``reply.interrupted``) with the audio that really came: the same
phrases are spoken anew by the same embedded voice, and the place where the received audio ends tells which words were
out (a word counts when its middle is). Noise and voice bursts of 200 ms must not take the floor: the reply may pause,
but it goes on to its end and no turn is committed.
"""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console

from benchmarks.alignment import WholeReply, end_in_whole, middles
from benchmarks.bargein_report import summarise, tables
from benchmarks.bargein_results import BargeIn, Cough
from benchmarks.corpus import Clip, questions, recorded, say
from benchmarks.exchanges import calling
from benchmarks.gateway_process import gateway
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from benchmarks.waveform import barge_in_ms, voice_on_tape
from pipeline.adapters.flite import FliteSpeech
from pipeline.ports import TextToSpeech
from voicegate.client.call import CallClient
from voicegate.client.connection import CallTarget
from voicegate.client.microphone import Utterance
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.events import ReplyFinished, ReplyInterrupted, ReplyText, TurnCommitted

ASK = "What can you help me with?"
_PAUSE_S = 0.06
"""A gap between two pieces of a reply above this means that playout paused."""
_LEAST_CLIP_S = 1.5
_LAST_FRAMES_S = 0.1
"""After ``reply.interrupted`` came: any frame of that reply that was still on its way is there by then."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every barge-in of a run shares."""

    ask: str
    voice: TextToSpeech | None
    """The agent's own voice, to speak its phrases anew; None: the account is not checked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply that has just become audible."""

    mark: int
    """Of the record."""
    packets: int
    """Pieces of audio that were there before."""
    began_s: float


async def ask(call: CallClient, setting: Setting) -> Asked | None:
    """Ask for something long and wait for the first audio; None if the agent stays silent."""
    mark, packets = call.record.mark, len(call.agent_packets)
    await call.command("text", text=setting.ask)
    if not await call.until(lambda: len(call.agent_packets) > packets, 15.0):
        return None
    return Asked(mark, packets, call.agent_packets[packets][0])


async def barge_in(call: CallClient, clip: Clip, after_s: float, setting: Setting) -> BargeIn | None:
    """Speak ``clip`` over a reply ``after_s`` into it; None when the reply was over before."""
    asked = await ask(call, setting)
    if asked is None:
        return None
    await call.wait_s(after_s)
    if not call.record.replying:
        return None
    samples = clip.at(call.rate_hz)
    utterance = call.start_speaking(samples)
    await call.until(lambda: utterance.spoken, samples.size / call.rate_hz + 10)
    await call.reply_over(utterance)
    return await _judge(call, clip, after_s, asked, utterance, setting)


async def _judge(
    call: CallClient, clip: Clip, after_s: float, asked: Asked, utterance: Utterance, setting: Setting
) -> BargeIn:
    begin = utterance.end - utterance.samples.size
    voice, agent = voice_on_tape(utterance.samples, 0, call.rate_hz), call.tape.agent(begin)
    cuts = call.record.of(ReplyInterrupted, asked.mark)
    # What comes later belongs to another reply: a caller who hesitates may be answered in the middle of the clip.
    told = call.record.positions(ReplyInterrupted, asked.mark)[:1]
    until = [position + round(_LAST_FRAMES_S * call.rate_hz) - begin for position in told]
    stop_ms = barge_in_ms(agent[: until[0]] if until else agent, voice, call.rate_hz)
    if not cuts:
        return BargeIn(clip.name, round(after_s, 2), stop_ms, interrupted=False)
    words = len(cuts[0].heard.split())
    really = await _words_received(call, asked, cuts[0], setting)
    return BargeIn(clip.name, round(after_s, 2), stop_ms, interrupted=True, words_told=words, words_received=really)


async def _words_received(call: CallClient, asked: Asked, cut: ReplyInterrupted, setting: Setting) -> int | None:
    """Words whose audio came; None where that cannot be told."""
    if setting.voice is None:
        return None
    phrases = [each.text for each in call.record.of(ReplyText, asked.mark) if each.turn == cut.turn]
    whole = await spoken_whole(setting.voice, phrases)
    positions = call.record.positions(ReplyInterrupted, asked.mark)
    until_s = call.tape.time_s(positions[0])
    came = [samples for arrived_s, samples in call.agent_packets[asked.packets :] if arrived_s <= until_s]
    end = end_in_whole(np.concatenate(came), whole.samples, call.rate_hz)
    return None if end is None else whole.heard_words(end)


async def spoken_whole(voice: TextToSpeech, phrases: list[str]) -> WholeReply:
    """``phrases`` one after the other as playout joins them, 16 kHz."""
    parts: list[Samples] = []
    found: list[int] = []
    start = 0
    for phrase in phrases:
        samples, times = await say(voice, phrase)
        found += middles(times, start, PIPELINE_RATE_HZ)
        parts.append(samples)
        start += samples.size
    return WholeReply(np.concatenate(parts), tuple(found), tuple(" ".join(phrases).split()))


async def cough(call: CallClient, burst: Clip, after_s: float, setting: Setting) -> Cough | None:
    """Make a short noise over a reply; None when the reply was over before."""
    asked = await ask(call, setting)
    if asked is None:
        return None
    await call.wait_s(after_s)
    if not call.record.replying:
        return None
    at_s = call.now_s
    utterance = call.start_speaking(burst.at(call.rate_hz))
    await call.until(lambda: utterance.spoken, 10.0)
    await call.until(lambda: not call.record.replying, 60.0)
    await call.reply_over(utterance)
    arrivals = [arrived_s for arrived_s, _ in call.agent_packets[asked.packets :] if arrived_s >= at_s]
    pause_s = max(np.diff(arrivals), default=0.0)
    finished = bool(call.record.of(ReplyFinished, asked.mark)) and not call.record.of(ReplyInterrupted, asked.mark)
    turns = [turn for turn in call.record.of(TurnCommitted, asked.mark) if turn.source == "speech"]
    paused_ms = round(float(pause_s) * 1000) if pause_s > _PAUSE_S else 0
    return Cough(burst.name, round(after_s, 2), paused_ms, finished, len(turns))


def bursts(seed: int) -> list[Clip]:
    """Noise that swells and fades like a cough for 200 ms, and 200 and 400 ms out of the middle of a voice."""
    noise = np.random.default_rng(seed).normal(0, 6000, PIPELINE_RATE_HZ // 5)
    smooth = np.clip(np.convolve(noise, np.ones(8) / 8, "same") * 2, -32_000, 32_000)
    found = [Clip("noise of 200 ms", _swelling(smooth))]
    for clip in recorded("speech")[1:2]:
        for milliseconds in (200, 400):
            size = PIPELINE_RATE_HZ * milliseconds // 1000
            at = int(np.argmax(np.convolve(np.abs(clip.samples.astype(np.float64)), np.ones(size), "valid")))
            voice = _swelling(clip.samples[at : at + size].astype(np.float64))
            found.append(Clip(f"voice of {milliseconds} ms", voice))
    return found


def _swelling(samples: npt.NDArray[np.float64]) -> Samples:
    shaped: Samples = (samples * np.sin(np.linspace(0, np.pi, samples.size)) ** 0.5).astype(np.int16)
    return shaped


async def measure(
    url: str | None, count: int, coughs: int, seed: int, setting: Setting
) -> tuple[list[BargeIn], list[Cough]]:
    """All barge-ins, then all coughs, in one call after the other."""
    chance = random.Random(seed)
    clips = [each for each in recorded("speech") + await questions() if each.samples.size > _LEAST_CLIP_S * 16_000]
    noises = bursts(seed)
    interruptions: list[BargeIn] = []
    small: list[Cough] = []
    async with gateway(url) as running:
        target = CallTarget("", url=running.url, jitter_ms=0.0)
        while len(interruptions) < count or len(small) < coughs:
            async with calling(target) as call:
                await call.greeting_over()
                if len(interruptions) < count:
                    one = await barge_in(call, chance.choice(clips), chance.uniform(0.1, 3.0), setting)
                    interruptions += [one] if one is not None else []
                else:
                    burst = noises[len(small) % len(noises)]
                    other = await cough(call, burst, chance.uniform(0.3, 2.0), setting)
                    small += [other] if other is not None else []
                await call.hang_up()
    return interruptions, small


def main(
    count: Annotated[int, typer.Option(min=0, help="Barge-ins.")] = 20,
    coughs: Annotated[int, typer.Option(min=0, help="Short noises.")] = 6,
    seed: Annotated[int, typer.Option(help="Of the random moments and clips.")] = 1,
    url: Annotated[str, typer.Option(help="A running gateway; one is started if empty.")] = "",
    ask_for: Annotated[str, typer.Option("--ask", help="What the agent is asked; the answer must be long.")] = ASK,
    check_heard: Annotated[bool, typer.Option(help="Compare the account; the agent must speak with flite.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure barge-ins."""
    machine = this_machine()
    setting = Setting(ask_for, FliteSpeech() if check_heard else None)
    interruptions, small = asyncio.run(measure(url or None, count, coughs, seed, setting))
    summary = summarise(interruptions, small)
    console = Console()
    for part in tables(interruptions, small, summary):
        console.print(part)
    settings = {"count": count, "coughs": coughs, "seed": seed, "ask": ask_for, "url": url or "own process"}
    results = {"settings": settings, "summary": summary, "barge_ins": interruptions, "short_noises": small}
    write_results(json_file, machine, **results)


if __name__ == "__main__":
    typer.run(main)
