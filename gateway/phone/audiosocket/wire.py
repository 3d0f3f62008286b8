"""AudioSocket on the wire: a byte of type, two bytes of length (big-endian), the payload.

Source: Asterisk documentation, "AudioSocket". A TCP read may end anywhere, so :class:`MessageReader` joins.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from voicegate.kernel.errors import ConfigError

HANG_UP: Final = 0x00
UUID: Final = 0x01
DTMF: Final = 0x03
ERROR: Final = 0xFF

AUDIO_RATES_HZ: Final[Mapping[int, int]] = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Rate of the audio types since Asterisk 20.17, 22.7 and 23.1; before, 0x10 was the only one."""

_HEADER: Final = struct.Struct(">BH")


@dataclass(frozen=True, slots=True)
class Message:
    kind: int
    payload: bytes = b""


class MessageReader:
    """Bytes of any length to whole messages. Holds less than one message: 64 KiB and the header."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def coming(self) -> tuple[int, int] | None:
        """Type and length of the message whose end has not come; None: not even its head has."""
        return _HEADER.unpack_from(self._rest) if len(self._rest) >= _HEADER.size else None

    def push(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes."""
        data = self._rest + data
        messages, at = [], 0
        while len(data) - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(data, at)
            end = at + _HEADER.size + length
            if end > len(data):
                break
            messages.append(Message(kind, data[at + _HEADER.size : end]))
            at = end
        self._rest = data[at:]
        return messages


def encode(kind: int, payload: bytes = b"") -> bytes:
    """One message; ``payload`` has at most 65535 bytes."""
    return _HEADER.pack(kind, len(payload)) + payload


def read_types(text: str) -> dict[int, int]:
    """Audio types and their rates, from ``0x10=8000,0x11=16000``; empty: :data:`AUDIO_RATES_HZ`.

    Raises:
        ConfigError: it reads otherwise, or a type is taken by something else.
    """
    table = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        kind, _, rate = entry.partition("=")
        try:
            table[int(kind, 0)] = int(rate)
        except ValueError:
            raise ConfigError(f"{entry[:40]!r} is no AudioSocket type; write 0x10=8000,0x12=16000") from None
    if any(not 0 < kind < ERROR or kind in (UUID, DTMF) or rate <= 0 for kind, rate in table.items()):
        raise ConfigError("AudioSocket audio types are 0x02 to 0xFE without 0x03, each with its rate in Hz")
    return table or dict(AUDIO_RATES_HZ)
