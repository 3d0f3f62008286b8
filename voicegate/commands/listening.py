"""What a listener understands of recorded speech: the embedded speech to text over a stretch of a tape."""

from collections.abc import Iterator

import numpy as np

from audiocodecs.resample import resample_whole
from pipeline.adapters.moonshine import MoonshineConfig, MoonshineTranscriber
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples, frame_samples

_LONGEST_S, _LOOK_BACK_S = 14, 4
_QUIET = 40
"""Largest sample of a stretch in which nobody speaks."""


async def understand(stretches: list[Samples], rate_hz: int) -> list[str]:
    """The words of each stretch (mono int16 at ``rate_hz``); empty where nobody is heard."""
    async with MoonshineTranscriber(MoonshineConfig(workers=1)) as ears:
        return [await _understand(ears, stretch, rate_hz) for stretch in stretches]


async def _understand(ears: MoonshineTranscriber, samples: Samples, rate_hz: int) -> str:
    heard = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
    if not heard.size:
        return ""
    speech = resample_whole(samples[heard[0] : heard[-1] + 1], rate_hz, PIPELINE_RATE_HZ)
    texts = [(await ears.transcribe(piece)).text.strip() for piece in pieces(speech)]
    return " ".join(text for text in texts if text)


def pieces(speech: Samples) -> Iterator[Samples]:
    """16 kHz speech in pieces that a recogniser takes, cut where it is quietest."""
    longest, look_back = _LONGEST_S * PIPELINE_RATE_HZ, _LOOK_BACK_S * PIPELINE_RATE_HZ
    size = frame_samples(PIPELINE_RATE_HZ)
    while speech.size > longest:
        region = speech[longest - look_back : longest].astype(np.float64).reshape(-1, size)
        cut = longest - look_back + int(np.argmin(np.sum(region**2, axis=1))) * size + size // 2
        yield speech[:cut]
        speech = speech[cut:]
    yield speech
