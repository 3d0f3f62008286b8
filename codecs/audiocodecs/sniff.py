"""What a message is, by its first bytes."""

from typing import Final, Literal, TypeAlias

MediaKind: TypeAlias = Literal["wav", "webm", "ogg", "mp3", "aac", "flac", "mp4", "raw"]

SNIFF_BYTES: Final = 12
"""Enough to tell every kind from every other; with fewer the answer may be ``raw`` too early."""


def sniff(head: bytes) -> MediaKind:
    """The kind of media that begins with ``head``; ``raw`` where nothing is recognised."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b"fLaC":
        return "flac"
    if head[4:8] == b"ftyp":
        return "mp4"
    return _mpeg(head)


def _mpeg(head: bytes) -> MediaKind:
    """MP3 with or without a tag, or AAC in ADTS.

    Raw PCM may begin with FF too (a sample of -1), so every field of the MPEG header that has forbidden values is
    looked at (ISO/IEC 11172-3 §2.4.2.3): layer III, a bit rate, a sample rate.
    """
    if head[:3] == b"ID3":
        return "mp3"
    if len(head) < 3 or head[0] != 0xFF:
        return "raw"
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    frame = head[1] >= 0xE0 and version != 1 and layer == 1 and 0 < bit_rate < 15 and rate != 3
    return "mp3" if frame else "raw"
