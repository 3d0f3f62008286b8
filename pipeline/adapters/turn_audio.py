"""The audio of a running turn, and what of it is already text. Pure; positions count frames since the stream opened.

::

    first          settled             end          first: oldest frame still held
      |--- pieces ----|--- unsettled ---|           pieces: text is settled, audio kept while there is room,
                           ^ mark ^ mark            because a commit inside a piece takes its end into the next turn
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.ports import Transcription
from voicegate.kernel.audio import Frame, Samples

_QUIET_FRAMES = 5
"""A pause worth splitting at lasts 100 ms."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A settled stretch of the turn."""

    start: int
    end: int
    transcription: Transcription


class TurnAudio:
    """Frames of the turn, at most ``max_frames``; beyond that the oldest are forgotten (their text, if any, stays)."""

    def __init__(self, max_frames: int) -> None:
        self._max_frames = max_frames
        self._frames: list[Frame] = []
        self._first = 0
        self._start = 0
        self._pieces: list[Piece] = []
        self._marks: dict[int, int] = {}

    @property
    def end(self) -> int:
        """One past the newest frame."""
        return self._first + len(self._frames)

    @property
    def settled(self) -> int:
        """Where the audio begins that is not text yet."""
        return max(self._pieces[-1].end if self._pieces else self._start, self._first)

    def push(self, frame: Frame) -> None:
        self._frames.append(frame)
        if len(self._frames) > self._max_frames:
            del self._frames[0]
            self._first += 1

    def mark(self, mark: int) -> int:
        """Remember ``mark`` at the newest frame; its position."""
        self._marks[mark] = self.end
        return self.end

    def commit(self, mark: int) -> int | None:
        """Forget everything before the mark; its position, or None where the mark is not (or no longer) known.

        A piece that reaches over the mark is opened again, with all behind it: its later half belongs to the next turn.
        """
        position = self._marks.get(mark)
        if position is None:
            return None
        self._forget(position)
        self._marks = {other: at for other, at in self._marks.items() if other > mark}
        crossed = any(piece.start < position < piece.end for piece in self._pieces)
        self._pieces = [] if crossed else [piece for piece in self._pieces if piece.start >= position]
        return position

    def discard(self) -> None:
        self._forget(self.end)
        self._marks.clear()
        self._pieces.clear()

    def _forget(self, position: int) -> None:
        count = max(0, position - self._first)
        del self._frames[:count]
        self._first += count
        self._start = position

    def settle(self, start: int, end: int, transcription: Transcription) -> None:
        self._pieces.append(Piece(start, end, transcription))

    def samples(self, start: int, end: int) -> Samples:
        """The audio between two positions: int16, shape (320 * frames,) at 16 kHz; what was forgotten is left out."""
        frames = self._frames[max(0, start - self._first) : max(0, end - self._first)]
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    def quiet_point(self, start: int, longest: int) -> int:
        """The quietest place to cut in the second half of the ``longest`` frames from ``start`` on."""
        samples = self.samples(start, start + longest).astype(np.float32)
        energy = np.square(samples).reshape(longest, -1).mean(axis=1)
        smooth = np.convolve(energy, np.ones(_QUIET_FRAMES), "same")[longest // 2 : longest - _QUIET_FRAMES // 2]
        return start + longest // 2 + int(smooth.argmin())

    def whole(self, start: int, end: int, rest: Transcription) -> Transcription:
        """The turn's text: the settled pieces, then ``rest``, which is what lies between ``start`` and ``end``."""
        return joined([*self._pieces, Piece(start, end, rest)])


def joined(pieces: Sequence[Piece]) -> Transcription:
    """One transcription of several in a row: confidence weighted by length, end of sentence as the last one has it.

    Tokens belong to single pieces and are left behind.
    """
    spoken = [piece for piece in pieces if piece.transcription.text]
    if not spoken:
        return replace(pieces[-1].transcription, tokens=())
    weighed = [(p.end - p.start, p.transcription.confidence) for p in spoken]
    known = [(weight, confidence) for weight, confidence in weighed if confidence is not None]
    total = sum(weight for weight, _ in known)
    return Transcription(
        text=" ".join(piece.transcription.text for piece in spoken),
        confidence=sum(w * c for w, c in known) / total if total else None,
        end_probability=spoken[-1].transcription.end_probability,
    )
