"""Times of written words out of an engine's word-begin events. No I/O."""

from pipeline.adapters.spoken import SpokenText
from pipeline.ports import WordTime


class WordClock:
    """Collects one phrase's word-begin events and gives each written word once its end is known.

    An engine may run words together ("of the") and report only the first: they share the time by their length. A
    word without sound has no length.
    """

    def __init__(self, text: SpokenText, rate_hz: int) -> None:
        self._text = text
        self._rate_hz = rate_hz
        self._index = 0
        self._start_s = 0.0
        self._samples = 0
        self._known: list[WordTime] = []

    def begins(self, offset: int, sample: int) -> None:
        """The engine began the word at ``offset`` of the spoken text at ``sample`` of the phrase."""
        index = self._text.written_index(offset + 1)
        if index is not None and index > self._index:
            self._complete(index, max(self._start_s, sample / self._rate_hz))

    def audio(self, samples: int) -> tuple[WordTime, ...]:
        """So many samples more went out: the words that became known since the last call."""
        self._samples += samples
        known, self._known = tuple(self._known), []
        return known

    def finish(self) -> tuple[WordTime, ...]:
        """The audio is over: the words that are left."""
        self._complete(len(self._text.written), max(self._start_s, self._samples / self._rate_hz))
        return self.audio(0)

    def _complete(self, index: int, end_s: float) -> None:
        """Words before ``index`` that are not known yet fill the time up to ``end_s``."""
        places = (*self._text.starts, len(self._text.text) + 1)
        first = places[self._index]
        length = max(1, places[index] - first)
        per_character_s = (end_s - self._start_s) / length
        for i in range(self._index, index):
            start_s = self._start_s + (places[i] - first) * per_character_s
            stop_s = self._start_s + (places[i + 1] - first) * per_character_s
            self._known.append(WordTime(self._text.written[i], start_s, stop_s))
        self._index, self._start_s = index, end_s
