"""What became of the packets of one call."""

from dataclasses import dataclass


@dataclass(slots=True)
class ReceiverCounts:
    """Packets, unless a name says otherwise. Only ever rising."""

    received: int = 0
    """Well-formed audio of the source that is followed, duplicates and late ones among them."""
    malformed: int = 0
    """RTP, RTCP or Opus that is not what it claims to be."""
    ignored: int = 0
    """Another payload type, or padding alone."""
    strangers: int = 0
    """Another source than the one that is followed."""
    duplicated: int = 0
    late: int = 0
    """Came after they had been given up; counted in ``lost`` too."""
    lost: int = 0
    """Given up: never came, or came late."""
    recovered: int = 0
    """Of the lost, played from the second copy that the packet after them carried."""
    concealed_ms: int = 0
    """Audio that was made up or left silent in place of lost packets."""
    flooded: int = 0
    """Refused, because audio came much faster than it can be spoken."""
    restarts: int = 0
    """The peer began to count anew, or with another source."""
