"""Audio as base64 in JSON: what four carriers put around it differs, what is in it does not. PURE."""

import binascii
from typing import Final

MAX_AUDIO_BYTES: Final = 48_000
"""Most audio of one inbound message (our choice): a second of linear PCM at 24 kHz, fifty usual messages."""


def audio_in(value: object) -> bytes | None:
    """The bytes of a base64 text (RFC 4648 section 4, with padding); None where it is none, is empty, or too long."""
    if not isinstance(value, str) or len(value) > MAX_AUDIO_BYTES * 4 // 3 + 4:
        return None
    try:
        return binascii.a2b_base64(value, strict_mode=True) or None
    except ValueError:
        return None


def envelope(head: bytes, packet: bytes, tail: bytes) -> bytes:
    """``packet`` as base64 between the two halves of a JSON text that was encoded before."""
    return head + binascii.b2a_base64(packet, newline=False) + tail
