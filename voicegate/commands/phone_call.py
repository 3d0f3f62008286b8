"""``voicegate call --via twilio …``: a simulated carrier places the call, and our own ears write down what was said.

A carrier is told no events, so the transcript is what the embedded speech to text understands: of the agent what was
played at the caller's ear, of the caller what was said.
"""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from audiocodecs.resample import resample_whole
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.clips import read_clip
from voicegate.client.microphone import Utterance
from voicegate.client.record import Line
from voicegate.client.voiced import answer_s, voiced_span
from voicegate.commands.call_end import finish, told
from voicegate.commands.call_report import latency_table, transcript_table
from voicegate.commands.listening import understand
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples


@dataclass(frozen=True, slots=True)
class PhoneAnswered:
    """One file and what came back."""

    file: str
    voice_to_voice_ms: float | None
    """From the file's last voiced sample to the first one played at the caller's ear; None without a spoken reply."""


@dataclass(frozen=True, slots=True)
class PhoneReport:
    """A whole call."""

    carrier: str
    call_id: str
    files: list[PhoneAnswered]
    transcript: list[Line]
    glitches: int
    """Times the agent's audio stopped for a moment: the carrier's buffer ran dry."""
    most_buffered_ms: float
    """The most that the carrier had to buffer."""
    dropped: dict[str, int]
    """What the carrier threw away because its rules do not take it."""
    latest_frame_ms: float
    """How late our own latest frame was: large values mean this machine is too busy to measure."""


@dataclass(frozen=True, slots=True)
class _Said:
    """An utterance, and the file it came from."""

    file: str
    utterance: Utterance


def call_by_phone(target: PhoneTarget, files: list[Path], out: Path | None, json_file: Path | None, keys: str) -> None:
    """Place the call and print what came of it; ends the command."""
    errors = Console(stderr=True)
    with told(errors):
        clips = [(path.name, read_clip(path, PIPELINE_RATE_HZ)) for path in files]
        report = asyncio.run(hold_phone_call(target, clips, out, keys=keys))
    console = Console()
    if report.transcript:
        console.print(transcript_table(report.transcript))
    console.print(latency_table([(each.file, each.voice_to_voice_ms, None) for each in report.files]))
    if report.glitches:
        console.print(f"The agent's audio stopped for a moment {report.glitches} times: it came too late.")
    for why, count in report.dropped.items():
        console.print(f"The carrier dropped {count} messages: {why}.", highlight=False)
    if out is not None:
        console.print(f"Both sides are in {out}.")
    finish(report, report.files, json_file, errors)


async def hold_phone_call(
    target: PhoneTarget, clips: list[tuple[str, Samples]], out: Path | None = None, *, keys: str = ""
) -> PhoneReport:
    """Say each clip (its name, and mono int16 at 16 kHz) when the agent has finished speaking; then press ``keys``.

    Raises:
        CallFailed: the call could not be made, or broke; ``out`` holds what was recorded until then.
    """
    async with PhoneCall(target) as call:
        said = []
        try:
            await call.greeting_over()
            for name, samples in clips:
                utterance = await call.speak(resample_whole(samples, PIPELINE_RATE_HZ, call.rate_hz))
                said.append(_Said(name, utterance))
                await call.reply_over(utterance)
            if keys:
                call.press(keys)
                await call.wait_s(5.0)
            dropped, most_ms = Counter(call.dropped), call.leg.playout.most_ms
            await call.hang_up()
        finally:
            if out is not None:
                out.write_bytes(call.tape.wav())  # noqa: ASYNC240 - the call is over
    return PhoneReport(
        carrier=target.via,
        call_id=call.facts.call_id,
        files=[PhoneAnswered(each.file, _answered_ms(call, each.utterance)) for each in said],
        transcript=await _transcript(call, said),
        glitches=call.tape.glitches,
        most_buffered_ms=round(most_ms),
        dropped=dict(dropped),
        latest_frame_ms=round(max(call.lateness_s, default=0.0) * 1000, 1),
    )


def _answered_ms(call: PhoneCall, utterance: Utterance) -> float | None:
    span = voiced_span(utterance.samples, call.rate_hz)
    start = utterance.end - utterance.samples.size
    seconds = answer_s(call.tape.agent(), utterance.end if span is None else start + span[1], call.rate_hz)
    return None if seconds is None else round(seconds * 1000, 1)


async def _transcript(call: PhoneCall, said: list[_Said]) -> list[Line]:
    agent = call.tape.agent()
    borders = [0, *(each.utterance.end for each in said), agent.size]
    stretches = [agent[start:end] for start, end in itertools.pairwise(borders)]
    texts = await understand([*stretches, *(each.utterance.samples for each in said)], call.rate_hz)
    replies, questions = texts[: len(stretches)], texts[len(stretches) :]
    lines = [Line("agent", replies[0])]
    for question, reply in zip(questions, replies[1:], strict=True):
        lines += [Line("caller", question), Line("agent", reply)]
    return [line for line in lines if line.text]
