"""Audio for vendors' stand-ins, and what may go wrong with it on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import soxr

from pipeline.adapters import flite_library
from voicegate.kernel.audio import Samples


@dataclass(frozen=True, slots=True)
class Character:
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    samples: Samples
    characters: tuple[Character, ...]
    """Every character of the text, in order, with its time."""


Speak: TypeAlias = Callable[[str, int], Speech]
"""``(text, rate_hz)`` to speech."""


def tones(text: str, rate_hz: int) -> Speech:
    """A hum of 60 ms a letter with a gap of 60 ms at each space: the same for the same text, and quick to make."""
    step = rate_hz * 6 // 100
    time_s = np.arange(step) / rate_hz
    shape = np.hanning(step) * 0.5 + 0.5
    parts, characters = [], []
    for index, character in enumerate(text):
        pitch_hz = 110 + 3 * (ord(character) % 20)
        hum = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k for k in (1, 2, 3, 5, 8))
        parts.append(np.zeros(step) if character.isspace() else hum * shape * 6000)
        characters.append(Character(character, index * 0.06, (index + 1) * 0.06))
    joined = np.concatenate(parts) if parts else np.zeros(0)
    return Speech(joined.astype(np.int16), tuple(characters))


def flite(text: str, rate_hz: int) -> Speech:
    """Real speech that a recogniser understands; a word's characters share its time."""
    pieces: list[Samples] = []
    timings: list[flite_library.Timing] = []

    def on_audio(samples: Samples, timing: flite_library.Timing) -> bool:
        pieces.append(samples)
        timings.append(timing)
        return True

    flite_library.Voice("rms").speak(text, on_audio)
    samples = np.concatenate(pieces)
    if rate_hz != flite_library.SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, flite_library.SAMPLE_RATE_HZ, rate_hz)
    ends_s = {0: 0.0, **{min(t.end_byte, len(text)): t.end_s for t in timings[-1].tokens}}
    places = np.interp(np.arange(len(text) + 1), list(ends_s), list(ends_s.values()))
    characters = tuple(Character(character, float(places[i]), float(places[i + 1])) for i, character in enumerate(text))
    return Speech(samples, characters)


@dataclass(slots=True)
class Trouble:
    """Switches of a stand-in; change them between requests."""

    status: int = 200
    """Other than 200: requests are refused with it ..."""
    refusals: int | None = None
    """... so many; None: all."""
    first_s: float = 0.0
    """Latency to the first piece."""
    stall_after: int | None = None
    """Pieces after which nothing more comes, while the connection stays open."""
    cut_after_bytes: int | None = None
    """Bytes of audio after which the connection is torn down."""
    piece_bytes: int = 3201
    """Bytes of audio in a piece: odd, as a vendor's may be."""

    def refusal(self) -> int:
        """The status for one more request."""
        if self.status != 200 and self.refusals is not None:
            self.refusals -= 1
            if self.refusals < 0:
                return 200
        return self.status

    async def pieces(self, audio: bytes) -> AsyncIterator[bytes]:
        """``audio`` as this trouble lets it through.

        Raises:
            ConnectionAbortedError: now tear the connection down.
        """
        await asyncio.sleep(self.first_s)
        for index, start in enumerate(range(0, len(audio), self.piece_bytes)):
            if self.stall_after is not None and index >= self.stall_after:
                await asyncio.Event().wait()
            if self.cut_after_bytes is not None and start >= self.cut_after_bytes:
                raise ConnectionAbortedError
            yield audio[start : start + self.piece_bytes]
