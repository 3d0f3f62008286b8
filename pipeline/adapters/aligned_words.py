"""Words out of a vendor's character alignment, and samples out of bytes cut anywhere. No I/O."""

from collections.abc import Sequence

import numpy as np

from pipeline.ports import WordTime
from voicegate.kernel.audio import Samples


class PcmBytes:
    """Little-endian int16 whose pieces may end in the middle of a sample."""

    def __init__(self) -> None:
        self._odd = b""

    def push(self, data: bytes) -> Samples:
        """Whole samples of all that came; shape (n,), n may be 0."""
        joined = self._odd + data
        whole = len(joined) & ~1
        self._odd = joined[whole:]
        return np.frombuffer(bytearray(joined[:whole]), dtype="<i2").astype(np.int16, copy=False)


class AlignedWords:
    """Joins characters with times into words, across pieces.

    Vendors time a piece's characters from the phrase's start (HTTP) or from the piece's own start (WebSocket). A
    piece that starts well before the audio that already came can only be of the second sort.
    """

    _SLACK_S = 0.05

    def __init__(self) -> None:
        self._text = ""
        self._start_s = self._end_s = 0.0

    def push(
        self, characters: Sequence[str], starts_s: Sequence[float], ends_s: Sequence[float], *, audio_s: float
    ) -> tuple[WordTime, ...]:
        """Words that end in this piece. ``audio_s`` is how much audio came before it."""
        shift_s = audio_s if starts_s and starts_s[0] + self._SLACK_S < audio_s else 0.0
        words: list[WordTime] = []
        for character, start_s, end_s in zip(characters, starts_s, ends_s, strict=False):
            if character.isspace():
                words.extend(self.finish())
                continue
            if not self._text:
                self._start_s = start_s + shift_s
            self._text += character
            self._end_s = max(end_s + shift_s, self._start_s)
        return tuple(words)

    def finish(self) -> tuple[WordTime, ...]:
        """The word that is not closed by a space, if there is one."""
        text, self._text = self._text, ""
        return (WordTime(text, self._start_s, self._end_s),) if text else ()
