"""Playout: the bounded queue of synthesised audio, and the ledger of what became of it. PURE.

The pipeline puts audio of any length in, a phrase at a time; the transport takes frames (or whole clips) out on its own
clock. A speculative reply is *held*: its audio may be put but not taken until it is released.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from pipeline.ledger import Ledger, Phrase, account, heard_words, word_start
from pipeline.ports import WordTime
from voicegate.kernel.audio import Frame, Samples, frame_samples
from voicegate.kernel.ids import ReplyId

_FADE_MS = 5
"""Length of the fade when playout stops within a word, so that the cut does not click."""

_REWIND_MS = 600
"""Sent audio that is kept to resume an interrupted reply at the start of the word that was cut."""


@dataclass(frozen=True, slots=True)
class PhraseClip:
    """A whole phrase, taken at once."""

    text: str
    samples: Samples


class Playout:
    """One session's outgoing audio. Mono int16 at ``rate_hz``.

    Taking a frame counts as hearing it. With ``confirmed`` it does not: the transport takes frames ahead of the ear,
    says by :meth:`played` what became audible, and can drop the rest, which may then be taken again. A clip that was
    taken cannot be stopped; it becomes heard as :meth:`played` says.
    """

    def __init__(self, rate_hz: int, *, capacity_ms: int = 3000, clips: bool = False, confirmed: bool = False) -> None:
        """``clips``: the transport takes whole phrases, never frames."""
        self.rate_hz = rate_hz
        self._clips = clips
        self._confirmed = confirmed
        self._frame = frame_samples(rate_hz)
        self._capacity = capacity_ms * rate_hz // 1000
        self._fade = _FADE_MS * rate_hz // 1000
        self._rewind = _REWIND_MS * rate_hz // 1000
        self.reply: ReplyId | None = None
        self._reset()

    def _reset(self) -> None:
        self._phrases: list[Phrase] = []
        self._next_clip = 0
        self._queue: deque[Samples] = deque()
        self._queued = 0
        self._kept: deque[Samples] = deque()
        self._kept_samples = 0
        self._sent = 0
        self._ended = False
        self._ear = 0  # what is audible now lies before it; unlike `_heard` it goes back when audio is played again
        self._heard = 0
        self._heard_words = 0
        self._held = False
        self._paused = False
        self._fading = False
        self._finished = False

    # --- the pipeline's side ---

    def open(self, reply: ReplyId, *, held: bool) -> None:
        """Begin ``reply``; whatever was there before is gone (its ledger was read by :meth:`clear`)."""
        self._reset()
        self.reply = reply
        self._held = held

    def release(self) -> None:
        """The turn is committed: the reply may become audible."""
        self._held = False

    def begin_phrase(self, text: str) -> None:
        """The audio that follows speaks ``text``."""
        start = self._phrases[-1].end if self._phrases else 0
        self._phrases.append(Phrase(text, start))

    def put(self, samples: Samples, words: tuple[WordTime, ...] = ()) -> None:
        """More audio of the phrase that was begun last. Accepted even when :attr:`full`: the caller waits, not we."""
        phrase = self._phrases[-1]
        phrase.samples += len(samples)
        phrase.times.extend(words)
        if len(samples):
            self._queue.append(samples)
            self._queued += len(samples)

    def end_phrase(self) -> None:
        """The phrase that was begun last is complete."""
        self._phrases[-1].complete = True

    def finish(self) -> None:
        """No phrase will follow."""
        self._finished = True

    @property
    def full(self) -> bool:
        """The pipeline should wait before it synthesises more. Never for the rest of a clip: it leaves as a whole."""
        return self._queued >= self._capacity and self._ready

    @property
    def unheard_ms(self) -> int:
        """Audio that is here and was not heard: waiting to be taken, or clips on their way."""
        return (self._queued + self._sent - self._ear) * 1000 // self.rate_hz

    @property
    def drained(self) -> bool:
        """Everything of a finished reply was heard."""
        return self._finished and not self._queued and self._ear >= self._sent

    @property
    def starved(self) -> bool:
        """Allowed to play, but there is nothing: the pipeline is slower than the caller's ear."""
        return not (self._held or self._paused or self._finished or self._ready) and self._ear >= self._sent

    @property
    def takeable(self) -> bool:
        """Taking would give something now."""
        return self._ready and not (self._held or self._paused)

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def at_phrase_end(self) -> bool:
        """What was taken last ends with the frame that holds the end of a phrase."""
        return self._ended

    def pause(self) -> None:
        """Stop at once, to resume or to clear: the next frame fades out, then silence. A transport that confirms has
        stopped by itself, and what nobody heard waits to be taken again."""
        if not self._paused:
            self._paused = True
            self._fading = not self._confirmed and not self._held and self._queued > 0 and self._sent > 0
            self.take_back()

    def take_back(self) -> None:
        """Audio that was taken and not confirmed is lost, and waits to be taken again. Without ``confirmed`` there is
        none."""
        if self._confirmed:
            self._rewind_to(self._ear)

    def resume(self) -> None:
        """Go on at the start of the word that was cut (as far back as the audio is kept)."""
        if not self._paused:
            return
        self._paused = self._fading = False
        self._rewind_to(word_start(self._phrases, rate_hz=self.rate_hz, position=self._sent))

    def _rewind_to(self, target: int) -> None:
        """Put back what was sent behind sample ``target``, as far as it is kept."""
        while self._kept and self._sent > target:
            samples = self._kept.pop()
            again = min(len(samples), self._sent - target)
            if again < len(samples):
                self._kept.append(samples[:-again])
            self._kept_samples -= again
            self._queue.appendleft(samples[-again:])
            self._queued += again
            self._sent -= again
        self._ear = min(self._ear, self._sent)

    def clear(self) -> Ledger:
        """Drop what was not taken and close the account: what was not heard is cut.

        A clip on its way cannot be stopped, so it counts as heard.
        """
        ledger = self._account(self._heard if self._confirmed else max(self._sent, self._heard), closed=True)
        self._reset()
        self.reply = None
        return ledger

    def ledger(self) -> Ledger:
        """The account as it stands. What it calls heard stays heard."""
        ledger = self._account(self._heard, closed=False)
        self._heard_words = sum(word.state == "heard" for word in ledger.words)
        return ledger

    def heard_text(self) -> str:
        """The words that were heard by now. What it calls heard stays heard."""
        words = heard_words(self._phrases, rate_hz=self.rate_hz, heard=self._heard, known=self._heard_words)
        self._heard_words = len(words)
        return " ".join(words)

    def _account(self, heard: int, *, closed: bool) -> Ledger:
        return account(
            self._phrases,
            rate_hz=self.rate_hz,
            sent=max(self._sent, heard),
            heard=heard,
            closed=closed,
            known=self._heard_words,
        )

    @property
    def _ready(self) -> bool:
        """There is something that the transport can take."""
        if self._clips:
            return any(phrase.complete and phrase.samples for phrase in self._phrases[self._next_clip :])
        return self._queued >= self._frame or (self._queued > 0 and (self._finished or self._phrases[-1].complete))

    # --- the transport's side ---

    def take(self, most: int = 1) -> Samples | None:
        """The next frames, at most ``most`` and none behind the end of a phrase, or None when nothing may or can be
        played. The last frame of a phrase that has no successor yet is padded with zeros."""
        if self._paused:
            return self._take_fade()
        if self._held or not self._ready:
            return None
        wanted = self._within_reach(most * self._frame)
        samples = self._cut(wanted)
        self._sent += wanted
        if not self._confirmed:
            self.played(wanted)
        self._keep(samples)
        return _padded(samples, -(-wanted // self._frame) * self._frame)

    def _within_reach(self, most: int) -> int:
        """How many of ``most`` samples can be taken: to the end of the frame in which a complete phrase ends, and no
        part of a frame while more will come."""
        frame, left = self._frame, 0
        for phrase in reversed(self._phrases):  # from behind: there are many phrases, and playout is at the last ones
            if phrase.end <= self._sent:
                break
            if phrase.complete:
                left = phrase.end - self._sent
        wanted = min(most, -(-left // frame) * frame) if left else most
        if self._queued < wanted:
            wanted = self._queued
            if not (self._finished or self._phrases[-1].complete):
                wanted -= wanted % frame
        self._ended = 0 < left <= wanted
        return wanted

    def take_clip(self) -> PhraseClip | None:
        """The next phrase, whole, once its audio is complete; None before. Phrases without audio are skipped, and of a
        phrase that failed midway comes what there is."""
        if self._held or self._paused:
            return None
        while self._next_clip < len(self._phrases):
            phrase = self._phrases[self._next_clip]
            if not (phrase.complete or self._finished):
                break
            self._next_clip += 1
            if phrase.samples:
                self._sent = phrase.end
                return PhraseClip(phrase.text, self._cut(phrase.samples))
        return None

    def played(self, samples: int) -> None:
        """``samples`` more of what was taken have become audible."""
        self._ear = min(self._ear + samples, self._sent)
        self._heard = max(self._heard, self._ear)

    def _take_fade(self) -> Frame | None:
        if not self._fading:
            return None
        self._fading = False
        rest = self._cut(min(self._frame, self._queued))
        self._queue.appendleft(rest)
        self._queued += len(rest)
        fade = min(self._fade, len(rest))
        faded = (rest[:fade] * np.linspace(1.0, 0.0, fade)).astype(np.int16)
        return _padded(faded, self._frame)

    def _cut(self, wanted: int) -> Samples:
        """Exactly ``wanted`` samples off the queue's head."""
        head = self._queue[0]
        if len(head) > wanted:  # the usual case
            self._queue[0] = head[wanted:]
            self._queued -= wanted
            return head[:wanted]
        parts: list[Samples] = []
        missing = wanted
        while missing:
            head = self._queue.popleft()
            if len(head) > missing:
                self._queue.appendleft(head[missing:])
                head = head[:missing]
            parts.append(head)
            missing -= len(head)
        self._queued -= wanted
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _keep(self, frame: Samples) -> None:
        self._kept.append(frame)
        self._kept_samples += len(frame)
        while self._kept_samples - len(self._kept[0]) >= self._rewind + self._sent - self._ear:
            self._kept_samples -= len(self._kept.popleft())


def _padded(samples: Samples, length: int) -> Frame:
    if len(samples) == length:
        return samples
    frame = np.zeros(length, np.int16)
    frame[: len(samples)] = samples
    return frame
