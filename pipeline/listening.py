"""The way in: frames to voice activity and, while somebody speaks, to speech to text."""

from collections import deque
from collections.abc import Callable

import numpy as np

from pipeline.ports import TranscriptStream, VoiceActivity, VoiceDetector
from pipeline.vad import VadConfig, VoiceBegan, VoiceEdge, VoiceEdges, VoiceEnded
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Frame, frame_samples

_FRAME = frame_samples(PIPELINE_RATE_HZ)
_SILENCE: Frame = np.zeros(_FRAME, np.int16)
_FLUSH_FRAMES = 16
"""Silence that lets voice activity see the end of an utterance: above its ``stop_ms`` and a window."""
_VAD_WINDOW = 512
_LEAD_FRAMES = 12
"""Frames that voice activity may be behind: a quarter of a second. A burst (an uploaded file) waits here beyond that,
so that pre-roll is still at hand when speech is found, and no adapter's backlog overflows."""
_LEAD_SAMPLES = _LEAD_FRAMES * _FRAME
_LOST_S = 0.5
"""Voice activity that is silent this long has lost windows (a failed inference), and will not answer for them."""
_SAME_CHUNK_S = 0.01
"""Frames that come this soon after one another came in one chunk."""
_LONGEST_CHUNK_S = 1.2
"""A recorder that is asked for chunks of one second sends none that lasts longer."""
_MAX_WAITING_FRAMES = 60_000
"""Twenty minutes of a burst; what comes on top is dropped, oldest first."""


class _Deaf:
    """The detector of an ear that was closed."""

    def push(self, frame: Frame) -> None: ...

    def close(self) -> None: ...


def _ignore(edge: VoiceEdge) -> None: ...


def _nothing() -> None: ...


class Listening:
    """One session's ear. Plain calls only; voice activity answers by callback on the same loop."""

    def __init__(
        self,
        activity: VoiceActivity,
        transcripts: TranscriptStream,
        config: VadConfig,
        *,
        pre_roll_ms: int,
        now: Callable[[], float],
        on_edge: Callable[[VoiceEdge], None],
        on_flushed: Callable[[], None],
    ) -> None:
        self.muted = False
        """Silence is heard in place of the caller."""
        self._transcripts = transcripts
        self._edges = VoiceEdges(config)
        self._on_edge = on_edge
        self._on_flushed = on_flushed
        self._now = now
        self._pre_roll = pre_roll_ms * PIPELINE_RATE_HZ // 1000
        self._recent: deque[Frame] = deque(maxlen=(pre_roll_ms + config.start_ms) // FRAME_MS + _LEAD_FRAMES + 10)
        self._waiting: deque[Frame] = deque(maxlen=_MAX_WAITING_FRAMES)
        self._samples = 0
        self._arrived = self._fed_at = self._judged_at = now()
        self._chunk_frames = 1
        self._open = False
        self._heard_frames = 0
        self._flush_at: int | None = None
        self._detector: VoiceDetector = activity.open(self._on_probability)

    @property
    def speaking(self) -> bool:
        return self._edges.speaking

    @property
    def rising(self) -> bool:
        """Speech may be about to start: the next windows tell."""
        return self._edges.rising

    @property
    def covered_until(self) -> float:
        """When the newest frame would have come, had it not come in one chunk with others before it: a recorder gives
        300 ms at a time, and nothing is missing until it owes the next chunk."""
        chunk_s = (self._chunk_frames - 1) * FRAME_MS / 1000
        return self._arrived + min(chunk_s, _LONGEST_CHUNK_S)

    def push(self, frame: Frame) -> None:
        """One 20 ms frame, 16 kHz mono int16."""
        if self.muted:
            frame = _SILENCE
        now = self._now()
        self._chunk_frames = self._chunk_frames + 1 if now - self._arrived < _SAME_CHUNK_S else 1
        self._arrived = now
        if not self._waiting and self._samples - self._edges.position < _LEAD_SAMPLES:
            self._judged_at = now  # after a pause in the audio, it is only now that it owes an answer
            self._feed(frame, now)
            return
        self._waiting.append(frame)
        if now - self._judged_at > _LOST_S:
            self._go_on_without()

    def _go_on_without(self) -> None:
        """Answers were lost. One more window is enough: its answer says where voice activity is. More at once would
        empty a burst past the end of what pre-roll can reach back to."""
        self._judged_at = self._arrived
        for _ in range(min(len(self._waiting), -(-_VAD_WINDOW // _FRAME))):
            self._feed(self._waiting.popleft(), self._arrived)

    @property
    def _behind(self) -> bool:
        return self._samples - self._edges.position >= _LEAD_SAMPLES

    def _feed(self, frame: Frame, now: float) -> None:
        self._samples += _FRAME
        self._fed_at = now
        if self._open:
            self._heard_frames += 1
            self._transcripts.push(frame)
        self._recent.append(frame)
        self._detector.push(frame)

    def fill(self, frames: int) -> None:
        """Audio is missing: silence takes its place, so that endpointing never hangs."""
        for _ in range(frames):
            self.push(_SILENCE)
        self._chunk_frames = 1

    def flush(self) -> None:
        """The utterance is complete: report once voice activity has seen all of it."""
        self.fill(_FLUSH_FRAMES)
        self._flush_at = self._samples + len(self._waiting) * _FRAME - _VAD_WINDOW

    def time_of(self, sample: int) -> float:
        """When ``sample`` came to voice activity, on the driver's clock; in a call that is when it arrived."""
        return self._fed_at - (self._samples - sample) / PIPELINE_RATE_HZ

    def take_heard_s(self) -> float:
        """Seconds of audio that speech to text got since the last call."""
        frames, self._heard_frames = self._heard_frames, 0
        return frames * FRAME_MS / 1000

    def close(self) -> None:
        """Hear and tell nothing more. What was told is let go, so that a call that is over is freed at once: garbage
        in cycles waits for a collector that halts all other calls."""
        self._detector.close()
        self._detector = _Deaf()
        self._on_edge, self._on_flushed = _ignore, _nothing

    def _on_probability(self, probability: float, end_sample: int) -> None:
        self._judged_at = self._now()
        edge = self._edges.feed(probability, end_sample)
        if edge is not None or self._flush_at is not None:
            self._tell(edge, end_sample)
        while self._waiting and not self._behind:
            self._feed(self._waiting.popleft(), self._judged_at)

    def _tell(self, edge: VoiceEdge | None, end_sample: int) -> None:
        match edge:
            case VoiceBegan(first):
                self._open_gate(first)
                self._on_edge(edge)
            case VoiceEnded():
                self._open = False
                self._on_edge(edge)
            case None:
                pass
        if self._flush_at is not None and end_sample >= self._flush_at:
            self._flush_at = None
            self._on_flushed()

    def _open_gate(self, first: int) -> None:
        """Let audio through to speech to text, from a little before the first voiced sample."""
        self._open = True
        wanted = self._samples - max(0, first - self._pre_roll)
        frames = min(len(self._recent), -(-wanted // _FRAME))
        self._heard_frames += frames
        for index in range(len(self._recent) - frames, len(self._recent)):
            self._transcripts.push(self._recent[index])
