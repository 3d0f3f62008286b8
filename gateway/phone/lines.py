"""The phone calls of this process, by session id."""

from typing import Protocol

from gateway.phone.messages import PhoneCall


class PhoneLine(Protocol):
    """One live call, as whoever gives it orders sees it."""

    @property
    def call(self) -> PhoneCall: ...

    def press_keys(self, digits: str) -> bool:
        """Send DTMF into the call. False: this carrier cannot."""
        ...

    def hang_up(self, reason: str) -> None:
        """End the conversation, and with it the call."""
        ...

    def let_go(self, reason: str) -> None:
        """The carrier has the call now: end the conversation, and leave the call alone."""
        ...


class PhoneLines:
    """One a process."""

    def __init__(self) -> None:
        self._lines: dict[str, PhoneLine] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, session_id: str, line: PhoneLine) -> None:
        """A call came back on another connection: the newer one counts."""
        self._lines[session_id] = line

    def remove(self, line: PhoneLine) -> None:
        """Does nothing where it is gone, or another one has its place."""
        for session_id in [each for each, known in self._lines.items() if known is line]:
            del self._lines[session_id]

    def get(self, session_id: str) -> PhoneLine | None:
        return self._lines.get(session_id)
