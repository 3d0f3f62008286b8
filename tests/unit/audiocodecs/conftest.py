"""Signals and streams for the codec tests, all made here: nothing is read from disk."""

import io
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
import pytest

from audiocodecs.opus import OpusEncoder
from voicegate.kernel.audio import Samples

Tone: TypeAlias = Callable[..., Samples]
Mux: TypeAlias = Callable[..., bytes]


def sine(rate_hz: int, seconds: float, hz: float = 440.0, amplitude: float = 8000.0) -> Samples:
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * hz * time_s)).astype(np.int16)


@pytest.fixture(scope="session")
def tone() -> Tone:
    return sine


@pytest.fixture(scope="session")
def voice() -> Samples:
    """One second at 16 kHz that moves like a voiced sound: harmonics of a gliding pitch under a syllable envelope."""
    time_s = np.arange(16_000) / 16_000
    phase = 2 * np.pi * (120 * time_s + 15 * time_s**2)
    wave = sum(np.sin(k * phase) / k for k in range(1, 20))
    envelope = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * time_s)
    return np.rint(6000 * wave * envelope).astype(np.int16)


@pytest.fixture(scope="session")
def packets(voice: Samples) -> list[bytes]:
    """The voice as 50 Opus packets of 20 ms and the encoder's tail."""
    encoder = OpusEncoder(16_000)
    return encoder.push(voice) + encoder.flush()


@pytest.fixture(scope="session")
def mux(voice: Samples) -> Mux:
    """A file that FFmpeg's own muxer made: the voice as Opus in ``webm`` or ``ogg``."""

    def make(container: str, *, streamed: bool = False) -> bytes:
        target = io.BytesIO()
        if streamed:
            target.seekable = lambda: False  # type: ignore[method-assign]
        with av.open(target, "w", format=container) as output:
            stream = output.add_stream("libopus", rate=48_000, layout="mono")
            graph = av.AudioResampler(format="s16", layout="mono", rate=48_000)
            frame = av.AudioFrame.from_ndarray(voice[None, :], format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), 0
            for converted in [*graph.resample(frame), *graph.resample(None)]:
                output.mux(stream.encode(converted))
            output.mux(stream.encode(None))
        return target.getvalue()

    return make


# --- EBML by hand -------------------------------------------------------------------------------------------------

OPUS_HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)


class Ebml:
    """The few pieces of Matroska that a recorder writes."""

    head = OPUS_HEAD

    @staticmethod
    def element(element_id: int, body: bytes, *, size_bytes: int = 4) -> bytes:
        marker = 1 << (7 * size_bytes)
        return _id(element_id) + (marker | len(body)).to_bytes(size_bytes, "big") + body

    @staticmethod
    def open_element(element_id: int) -> bytes:
        """A header of unknown size."""
        return _id(element_id) + b"\x01" + b"\xff" * 7

    def header(self, doc_type: bytes = b"webm") -> bytes:
        return self.element(0x1A45DFA3, self.element(0x4286, b"\x01", size_bytes=1) + self.element(0x4282, doc_type))

    def track(self, number: int = 1, codec: bytes = b"A_OPUS", head: bytes = OPUS_HEAD, extra: bytes = b"") -> bytes:
        fields = self.element(0xD7, bytes([number]), size_bytes=1) + self.element(0x86, codec, size_bytes=1)
        return self.element(0xAE, fields + self.element(0x63A2, head, size_bytes=1) + extra)

    def begin(self, *tracks: bytes) -> bytes:
        """What a recorder's first chunk begins with, up to the first cluster."""
        info = self.element(0x1549A966, self.element(0x2AD7B1, b"\x0f\x42\x40"))
        return (
            self.header()
            + self.open_element(0x18538067)
            + self.element(0xEC, bytes(33))
            + info
            + self.element(0x1654AE6B, b"".join(tracks) or self.track())
        )

    def cluster(self) -> bytes:
        return self.open_element(0x1F43B675) + self.element(0xE7, b"\0\0", size_bytes=1)

    def block(self, packet: bytes, *, track: int = 1, flags: int = 0x80, size_bytes: int = 4) -> bytes:
        body = bytes([0x80 | track]) + struct.pack(">hB", 0, flags) + packet
        return self.element(0xA3, body, size_bytes=size_bytes)

    def recording(self, packets: list[bytes], per_cluster: int = 6) -> bytes:
        """A whole MediaRecorder stream: unknown-size Segment, a new unknown-size Cluster every few packets."""
        stream = self.begin()
        for at in range(0, len(packets), per_cluster):
            stream += self.cluster() + b"".join(map(self.block, packets[at : at + per_cluster]))
        return stream


def _id(element_id: int) -> bytes:
    return element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")


@pytest.fixture(scope="session")
def ebml() -> Ebml:
    return Ebml()


# --- Ogg by hand --------------------------------------------------------------------------------------------------


class OggWriter:
    """Pages with any flags, lacing and (right or wrong) checksum; the checksum bit by bit as RFC 3533 gives it."""

    head = OPUS_HEAD
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)

    @staticmethod
    def crc(data: bytes) -> int:
        register = 0
        for byte in data:
            register ^= byte << 24
            for _ in range(8):
                register = (register << 1 ^ (0x04C11DB7 if register & 0x80000000 else 0)) & 0xFFFFFFFF
        return register

    def page(self, sequence: int, lacing: bytes, body: bytes, *, flags: int = 0, serial: int = 7) -> bytes:
        head = struct.pack("<4sBBqIII", b"OggS", 0, flags, 0, serial, sequence, 0) + bytes([len(lacing)]) + lacing
        checksum = self.crc(head + body)
        return head[:22] + checksum.to_bytes(4, "little") + head[26:] + body

    def packet_page(self, sequence: int, *packets: bytes, flags: int = 0, serial: int = 7) -> bytes:
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
        return self.page(sequence, lacing, b"".join(packets), flags=flags, serial=serial)

    def begin(self, *, serial: int = 7, head: bytes = OPUS_HEAD) -> bytes:
        return self.packet_page(0, head, flags=2, serial=serial) + self.packet_page(1, self.tags, serial=serial)

    def recording(self, packets: list[bytes], per_page: int = 10, *, serial: int = 7) -> bytes:
        groups = [packets[at : at + per_page] for at in range(0, len(packets), per_page)]
        pages = [
            self.packet_page(2 + n, *group, flags=4 if n == len(groups) - 1 else 0, serial=serial)
            for n, group in enumerate(groups)
        ]
        return self.begin(serial=serial) + b"".join(pages)


@pytest.fixture(scope="session")
def ogg() -> OggWriter:
    return OggWriter()


@pytest.fixture(scope="session")
def cuts() -> Callable[[bytes, list[int]], Iterator[bytes]]:
    """The data in pieces, cut at the given places (any numbers, taken modulo the length)."""

    def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
        at = 0
        for place in sorted(place % (len(data) + 1) for place in places):
            yield data[at:place]
            at = place
        yield data[at:]

    return cut
