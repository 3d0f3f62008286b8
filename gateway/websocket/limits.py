"""What one connection may do, and the meter that watches it."""

from dataclasses import dataclass

from gateway.close_codes import CloseCode
from gateway.rate import Bucket
from gateway.websocket.ending import Ending, MustClose
from voicegate.kernel.audio import PIPELINE_RATE_HZ

_JUDGED_MESSAGES, _JUDGED_BYTES = 8, 4096


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Limits of one call connection. Each is our choice; ``docs/protocols.md`` lists them."""

    full_message_bytes: int = 256 * 1024
    """Largest message in the full profile: 5 s of PCM16 at 24 kHz."""
    simple_message_bytes: int = 32 * 1024 * 1024
    """Largest message in the simple profile: a WAV file."""
    upload_s: float = 600.0
    """Longest audio of one uploaded file."""
    start_timeout_s: float = 10.0
    """Full profile: time until the first message."""
    session_s: float = 3600.0
    """Longest connection."""
    heartbeat_s: float = 6.0
    """Idle time before a ping; a peer that answers nothing for half as long again is gone."""
    unsent_audio_ms: float = 400.0
    """Full profile: audio that may wait for a slow reader; above it playout pauses."""
    stuck_s: float = 5.0
    """A client that takes nothing for so long is closed."""
    unsent_bytes: int = 8 * 1024 * 1024
    """Everything that may wait for a slow reader, events included."""
    audio_speed: float = 3.0
    """Sustained audio input, in multiples of real time."""
    audio_burst_s: float = 60.0
    messages_per_s: float = 200.0
    message_burst: float = 1000.0
    bytes_per_s: float = 200_000.0
    byte_burst: float = 4_000_000.0


class InputMeter:
    """Counts one connection's input; raises :class:`MustClose` with 4429 above the limits."""

    def __init__(self, limits: SocketLimits, now: float) -> None:
        self._messages = Bucket(limits.messages_per_s, limits.message_burst, now)
        self._bytes = Bucket(limits.bytes_per_s, limits.byte_burst, now)
        self._audio_s = Bucket(limits.audio_speed, limits.audio_burst_s, now)
        self._pending = self._pending_bytes = self._pending_samples = 0

    def streamed(self, size_bytes: int, samples: int, now: float) -> None:
        """A streamed message came that held ``samples`` of audio at 16 kHz. For the many small ones: they are counted
        at once and judged some at a time, which is nothing beside the bursts that are allowed."""
        self._pending += 1
        self._pending_bytes += size_bytes
        self._pending_samples += samples
        if self._pending >= _JUDGED_MESSAGES or self._pending_bytes >= _JUDGED_BYTES:
            self._judge(now)

    def _judge(self, now: float) -> None:
        messages, size_bytes, seconds = self._pending, self._pending_bytes, self._pending_samples / PIPELINE_RATE_HZ
        self._pending = self._pending_bytes = self._pending_samples = 0
        if not (self._messages.take(messages, now) and self._bytes.take(size_bytes, now)):
            raise _too_fast("messages came faster than the limit")
        self.audio(seconds, now, upload=False)

    def message(self, size_bytes: int, now: float) -> None:
        """A streamed message came."""
        if not (self._messages.take(1, now) and self._bytes.take(size_bytes, now)):
            raise _too_fast("messages came faster than the limit")

    def upload(self, size_bytes: int, now: float) -> None:
        """A whole file came. It may exceed the bursts; then the debt must be refilled before the next message."""
        paid = self._bytes.overdraw(size_bytes, now) and self._audio_s.overdraw(0, now)
        if not (self._messages.take(1, now) and paid):
            raise _too_fast("the file uploaded before is not paid for by real time yet")

    def audio(self, seconds: float, now: float, *, upload: bool) -> None:
        """A message held ``seconds`` of audio."""
        taken = self._audio_s.overdraw(seconds, now) if upload else self._audio_s.take(seconds, now)
        if not taken:
            raise _too_fast("audio came faster than the limit")


def _too_fast(reason: str) -> MustClose:
    return MustClose(Ending(CloseCode.TOO_FAST, reason, "detach"))
