"""How much audio and how many bytes a client has not taken yet. Pure: byte counts and time are arguments."""

from collections import deque


class Backlog:
    """Everything written to one socket, and how far it got.

    Bytes leave a TCP socket in order, so the place of each piece of audio in the byte stream tells whether it left.
    """

    __slots__ = ("_left", "_pieces", "_stuck_since", "_unsent_ms", "_written")

    def __init__(self) -> None:
        self._written = 0
        self._left = 0
        self._stuck_since: float | None = None
        self._pieces: deque[tuple[int, float]] = deque()
        self._unsent_ms = 0.0

    def wrote(self, size_bytes: int, audio_ms: float = 0.0) -> None:
        """``size_bytes`` were handed to the socket, and are ``audio_ms`` of audio."""
        self._written += size_bytes
        if audio_ms:
            self._pieces.append((self._written, audio_ms))
            self._unsent_ms += audio_ms

    def measure(self, unsent_bytes: int, now: float) -> float:
        """Milliseconds of audio among the last ``unsent_bytes``, the ones still here."""
        left = self._written - unsent_bytes
        if unsent_bytes <= 0:
            self._stuck_since = None
        elif self._stuck_since is None or left > self._left:
            self._stuck_since = now
        self._left = left
        while self._pieces and self._pieces[0][0] <= left:
            self._unsent_ms -= self._pieces.popleft()[1]
        return self._unsent_ms if self._pieces else 0.0

    @property
    def empty(self) -> bool:
        """Nothing was waiting at the last measurement and nothing was written since."""
        return self._left >= self._written

    def stuck_s(self, now: float) -> float:
        """Seconds that something waited and nothing left, as far as measured."""
        return 0.0 if self._stuck_since is None else now - self._stuck_since
