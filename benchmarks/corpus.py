"""What the benchmarks say: recorded human voices where there are any, and the embedded voice everywhere.

``VOICEGATE_TEST_SPEECH`` names a folder with an ``index.csv`` (columns ``file``, ``kind`` speech or noise, and
``reference``); without it, ``../shared/audio`` beside the repository is looked at.
"""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiocodecs.resample import resample_whole
from benchmarks.machine import ROOT
from pipeline.adapters import flite
from pipeline.adapters.espeak import EspeakSpeech
from pipeline.adapters.flite import FliteConfig, FliteSpeech
from pipeline.ports import TextToSpeech, WordTime
from voicegate.client.clips import read_clip
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

CALLER_VOICE = "slt"
"""The embedded voice of the questions: another one than the agent's default."""
_FADE_MS = 5

QUESTIONS = (
    "What are your opening hours?",
    "Where is your office?",
    "Do you have any flats to rent?",
    "Can I book a viewing for tomorrow?",
    "Are you open on Saturday morning?",
    "How much does the cheapest home cost?",
    "I would like to speak to an adviser, please.",
    "Could you tell me what you can help me with?",
)
PAUSED_QUESTIONS: tuple[tuple[str, int, int], ...] = (
    ("I would like to book a viewing for Friday afternoon.", 5, 300),
    ("Can you tell me about the homes that you have?", 4, 350),
    ("What are your opening hours on Sunday?", 4, 450),
    ("I am looking for a flat with two bedrooms.", 6, 550),
    ("Could you please tell me the address of your office?", 6, 700),
)
"""Text, the number of words before the pause, and the pause in ms."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Something to say."""

    name: str
    samples: Samples
    """Mono int16, 16 kHz."""
    reference: str = ""
    """What is said, for word error rates."""
    human: bool = False

    def at(self, rate_hz: int) -> Samples:
        """The samples at another rate."""
        return resample_whole(self.samples, PIPELINE_RATE_HZ, rate_hz)


def speech_folder() -> Path | None:
    """The folder of recorded voices, if there is one."""
    folder = Path(os.environ.get("VOICEGATE_TEST_SPEECH") or ROOT.parent / "shared" / "audio")
    return folder if (folder / "index.csv").is_file() else None


def recorded(kind: str) -> list[Clip]:
    """The recorded clips of a kind (``speech`` or ``noise``); none where there is no folder."""
    folder = speech_folder()
    if folder is None:
        return []
    with (folder / "index.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["kind"] == kind]
    return [
        Clip(Path(row["file"]).stem, read_clip(folder / row["file"], PIPELINE_RATE_HZ), row["reference"], human=True)
        for row in rows
    ]


def embedded_voice() -> TextToSpeech:
    """The text to speech that needs nothing installed but what the product needs."""
    return FliteSpeech(FliteConfig(voice=CALLER_VOICE)) if flite.available() else EspeakSpeech()


async def say(voice: TextToSpeech, text: str) -> tuple[Samples, list[WordTime]]:
    """``text`` spoken: mono int16 at 16 kHz, and the words' times where the voice tells them."""
    parts: list[Samples] = []
    words: list[WordTime] = []
    async for chunk in voice.stream(text):
        parts.append(chunk.samples)
        words.extend(chunk.words)
    return resample_whole(np.concatenate(parts), voice.sample_rate_hz, PIPELINE_RATE_HZ), words


def with_pause(samples: Samples, at_s: float, pause_ms: int) -> Samples:
    """Silence of ``pause_ms`` put in at ``at_s`` (16 kHz), with short fades so that the cut does not click."""
    cut = round(at_s * PIPELINE_RATE_HZ)
    fade = min(_FADE_MS * PIPELINE_RATE_HZ // 1000, cut, samples.size - cut)
    ramp = np.linspace(1.0, 0.0, fade)
    before, after = samples[:cut].copy(), samples[cut:].copy()
    before[cut - fade :] = (before[cut - fade :] * ramp).astype(np.int16)
    after[:fade] = (after[:fade] * ramp[::-1]).astype(np.int16)
    return np.concatenate([before, np.zeros(pause_ms * PIPELINE_RATE_HZ // 1000, np.int16), after])


async def questions() -> list[Clip]:
    """Questions for the receptionist in the embedded voice, without and with a pause in the middle."""
    voice = embedded_voice()
    clips = []
    for text in QUESTIONS:
        samples, _ = await say(voice, text)
        clips.append(Clip(_name(text), samples, text))
    for text, words_before, pause_ms in PAUSED_QUESTIONS:
        samples, words = await say(voice, text)
        at_s = words[words_before - 1].end_s if len(words) > words_before else _guess_s(text, words_before, samples)
        clips.append(Clip(f"{_name(text)}+{pause_ms}ms", with_pause(samples, at_s, pause_ms), text))
    return clips


def _guess_s(text: str, words_before: int, samples: Samples) -> float:
    """A voice without word times: the border by the letters before it."""
    before = len(" ".join(text.split()[:words_before]))
    return before / len(text) * samples.size / PIPELINE_RATE_HZ


def _name(text: str) -> str:
    return "-".join(text.lower().rstrip(".?").replace(",", "").split()[:5])
