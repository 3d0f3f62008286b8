"""The way out: what the transport takes, when it was first heard, how far it was heard."""

from collections.abc import Callable

import numpy as np

from pipeline.history import History
from pipeline.playout import PhraseClip, Playout
from pipeline.reply import ReplyRun
from pipeline.reporter import Reporter
from pipeline.stamps import TurnStamps
from pipeline.turn_messages import ReplyAudible, ReplyDrained, ReplyStarved, TurnEvent
from voicegate.kernel.audio import Samples
from voicegate.kernel.events import Latency, ReplyFinished, ReplyHeard, ReplyInterrupted
from voicegate.kernel.ids import ReplyId

_VOICED_PEAK = 330
"""Peak above which outgoing audio counts as audible: -40 dBFS."""
_REPORT_EVERY_S = 0.5
"""How often ``reply.heard`` follows a reply that is being heard."""


def _ignore(event: TurnEvent) -> None: ...


class Speaking:
    """One session's mouth."""

    def __init__(
        self,
        playout: Playout,
        history: History,
        reporter: Reporter,
        now: Callable[[], float],
        deliver: Callable[[TurnEvent], None],
    ) -> None:
        self._playout = playout
        self._history = history
        self._reporter = reporter
        self._now = now
        self._deliver = deliver
        self._run: ReplyRun | None = None
        self._clip_reply: ReplyId | None = None
        self._audible = False
        self._filler = False
        self._measured = False
        self._unreported = 0
        self._report_every = round(_REPORT_EVERY_S * playout.rate_hz)
        self._reported = ""
        self._idle = True
        self.on_audio: Callable[[], None] | None = None
        """Called when there may be audio to take although the last taking gave none, so that it need not wait for the
        transport's next tick."""
        self.on_stop: Callable[[], None] | None = None
        """Called before playout stops: a transport that is ahead of the ear confirms what was heard by now, and drops
        the rest."""

    @property
    def run(self) -> ReplyRun | None:
        """The reply in playout, held or not."""
        return self._run

    @property
    def left_s(self) -> float | None:
        """Seconds that are left to hear of a reply that is complete; None while more may come or nothing plays."""
        if self._run is None or not self._run.complete:
            return None
        return self._playout.unheard_ms / 1000

    # --- the session's side ---

    def open(self, run: ReplyRun) -> None:
        """``run`` has playout to itself, held until :meth:`release`."""
        self._run = run
        self._audible, self._filler, self._measured, self._unreported, self._reported = False, False, False, 0, ""
        self._playout.open(run.id, held=True)

    def release(self) -> None:
        self._playout.release()
        self.check_drained()
        self._wake()

    def audio_came(self, *, filler: bool) -> None:
        """Playout has audio of the reply, or only of a filler within it."""
        if self._run and (not self._audible or (self._filler and not filler)):
            self._audible, self._filler = True, filler
            self._deliver(ReplyAudible(self._now(), self._run.id, filler))
        self._wake()

    def pause(self) -> None:
        self._stop()
        self._playout.pause()

    def resume(self) -> None:
        self._playout.resume()
        self.check_drained()
        self._wake()

    def revoke(self) -> None:
        """Forget a reply that was never audible."""
        self._playout.clear()
        self._run = None

    def cancel(self, reason: str) -> None:
        """Stop a released reply and settle its account."""
        run = self._run
        if run is None:
            return
        self._stop()
        if self._run is not run:  # the transport's last word was that all of it had been heard
            return
        ledger = self._playout.clear()
        self._run = None
        self._history.reply(ledger.heard, agent=run.agent, interrupted=True)
        self._reporter.emit(ReplyInterrupted, run.id.turn, heard=ledger.heard, cut=ledger.cut, reason=reason)

    def close(self) -> None:
        """Tell nobody any more (see :meth:`pipeline.listening.Listening.close`)."""
        self._deliver, self.on_audio, self.on_stop = _ignore, None, None

    def detached(self) -> None:
        """The transport is gone, with what it had taken ahead."""
        self.on_audio, self.on_stop = None, None
        self._playout.take_back()

    def check_drained(self) -> None:
        """A reply that is complete and was heard to its end gives the floor back."""
        run = self._run
        if not self._playout.drained or run is None or not run.released.is_set() or self._playout.paused:
            return
        ledger = self._playout.clear()
        self._run = None
        self._report_heard(run, ledger.heard)
        self._history.reply(ledger.heard, agent=run.agent, interrupted=run.failed)
        if run.failed:
            cut = {"heard": ledger.heard, "cut": ledger.cut, "reason": "failed"}
            self._reporter.emit(ReplyInterrupted, run.id.turn, **cut)
        else:
            self._reporter.emit(ReplyFinished, run.id.turn, text=ledger.heard)
        self._deliver(ReplyDrained(self._now(), run.id))

    # --- the transport's side ---

    def take_frames(self, most: int = 1) -> Samples | None:
        """The next frames at playout's rate, at most ``most`` and none behind the one in which a phrase ends; None for
        silence."""
        frames = self._playout.take(most)
        self._idle = frames is None
        run = self._run
        if run is None:
            return frames
        if frames is None:
            self._nothing_to_take(run)
            return None
        if not self._measured:
            self._measure(run, frames)
        if not run.room.is_set():
            run.room.set()
        self._unreported += frames.size
        if self._unreported >= self._report_every:
            self._unreported = 0
            self._report_heard(run, self._playout.heard_text())
        self.check_drained()
        return frames

    def take_clip(self) -> PhraseClip | None:
        clip = self._playout.take_clip()
        run = self._run
        if run is None:
            return clip
        if clip is None:
            self._nothing_to_take(run)
            return None
        if not self._measured:
            self._measure(run, clip.samples)
        self._clip_reply = run.id
        run.room.set()
        return clip

    def clip_played(self, samples: int) -> None:
        run = self._run
        if run is None or run.id != self._clip_reply:
            return
        self._playout.played(samples)
        self._report_heard(run, self._playout.heard_text())
        self.check_drained()

    def frames_played(self, samples: int) -> None:
        self._playout.played(samples)
        self.check_drained()

    @property
    def at_phrase_end(self) -> bool:
        return self._playout.at_phrase_end

    def _stop(self) -> None:
        if self.on_stop:
            self.on_stop()

    def _wake(self) -> None:
        if self._idle and self.on_audio and self._playout.takeable:
            self._idle = False  # once: each call is a tick more, and a burst of frames would count as heard too early
            self.on_audio()

    def _nothing_to_take(self, run: ReplyRun) -> None:
        if self._audible and self._playout.starved:
            self._audible = False
            self._deliver(ReplyStarved(self._now(), run.id))

    def _measure(self, run: ReplyRun, samples: Samples) -> None:
        """The first voiced sample leaves: voice-to-voice time is taken on the audio itself."""
        voiced = np.abs(samples) > _VOICED_PEAK
        if not voiced.any():
            return
        self._measured = True
        if run.stamps is not None:
            lead = int(np.argmax(voiced)) / self._playout.rate_hz
            self._reporter.emit(Latency, run.id.turn, **latency_parts(run, run.stamps, self._now() + lead))

    def _report_heard(self, run: ReplyRun, heard: str) -> None:
        if heard != self._reported:
            self._reported = heard
            self._reporter.emit(ReplyHeard, run.id.turn, text=heard)


def latency_parts(run: ReplyRun, stamps: TurnStamps, first_voiced_out: float) -> dict[str, float]:
    """The turn's parts with what the reply knows of its own beginnings."""
    stamps.first_token = run.first_token_at
    stamps.first_audio = run.first_audio_at
    return stamps.parts_ms(first_voiced_out)
