"""What callers say in these tests, and what a listener makes of the agent's audio."""

import re
from functools import cache

import numpy as np

from benchmarks.corpus import embedded_voice, recorded, say
from pipeline.adapters.moonshine import MoonshineConfig, MoonshineTranscriber
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

_said: dict[str, Samples] = {}
_ears: list[MoonshineTranscriber] = []
_LONGEST_S = 14
ENOUGH_UNDERSTOOD = 0.6


async def spoken(text: str) -> Samples:
    """``text`` in the embedded voice, mono int16 at 16 kHz; made once."""
    if text not in _said:
        voice = embedded_voice()
        _said[text], _ = await say(voice, text)
        close = getattr(voice, "aclose", None)
        if close is not None:
            await close()
    return _said[text]


@cache
def human(name: str) -> tuple[Samples, str] | None:
    """A recorded voice and what it says, where recordings are present."""
    return next(((clip.samples, clip.reference) for clip in recorded("speech") if clip.name == name), None)


async def understood(samples: Samples) -> str:
    """What speech to text makes of 16 kHz audio of any length."""
    step = _LONGEST_S * PIPELINE_RATE_HZ
    if not _ears:  # loaded once; bound to no event loop, and its one thread ends with the process
        loading = MoonshineTranscriber(MoonshineConfig(workers=1))
        await loading.open()
        _ears.append(loading)
    texts = [(await _ears[0].transcribe(samples[at : at + step])).text for at in range(0, samples.size, step)]
    return " ".join(texts)


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def share_understood(original: str, heard: str) -> float:
    """Share of the words of ``original`` that are in ``heard``."""
    return len(words(original) & words(heard)) / max(1, len(words(original)))


def is_understood(original: str, heard: str) -> bool:
    """Whether speech to text got the question. One word of five may be misheard: sound that a browser resampled, or a
    turn that began 20 ms later on a busy machine, is not the same sound, and "your" may become "you are"."""
    return share_understood(original, heard) >= ENOUGH_UNDERSTOOD


def burst(milliseconds: int, *, peak: int = 9000, seed: int = 1) -> Samples:
    """A cough: noise that swells and fades, mono int16 at 16 kHz."""
    count = milliseconds * PIPELINE_RATE_HZ // 1000
    noise = np.random.default_rng(seed).normal(0, 1, count) * np.hanning(count)
    shaped: Samples = (noise / np.abs(noise).max() * peak).astype(np.int16)
    return shaped
