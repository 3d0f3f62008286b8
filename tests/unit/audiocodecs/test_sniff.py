import io

import av
import numpy as np
import pytest

from audiocodecs.sniff import SNIFF_BYTES, sniff
from audiocodecs.wav import encode_wav
from voicegate.kernel.audio import Samples

HEADS: list[tuple[bytes, str]] = [
    (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
    (b"RIFF\x24\0\0\0AVI LIST", "raw"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01", "webm"),
    (b"OggS\0\x02", "ogg"),
    (b"fLaC\0\0\0\x22", "flac"),
    (b"\0\0\0\x20ftypM4A ", "mp4"),
    (b"ID3\x04\0\0", "mp3"),
    (b"\xff\xfb\x90\x64", "mp3"),
    (b"\xff\xf3\x44\xc4", "mp3"),
    (b"\xff\xe3\x44\xc4", "mp3"),
    (b"\xff\xf1\x50\x80", "aac"),
    (b"\xff\xf9\x50\x80", "aac"),
    (b"", "raw"),
    (b"\xff", "raw"),
    (b"\xff\xff\xff\xff\0\0", "raw"),
    (b"\xff\xff\0\0\x01\0", "raw"),
    (b"\xff\xfb\0\0", "raw"),
    (b"\xff\xfb\xf0\0", "raw"),
    (b"\xff\xfb\x9c\0", "raw"),
    (b"\xff\xeb\x90\0", "raw"),
    (b"\xff\xdb\x90\0", "raw"),
    (b"\xff\xfd\x90\0", "raw"),
    (b"\xff\xff\x90\0", "raw"),
    (b"\0\0\x01\0\xff\xff", "raw"),
]


@pytest.mark.parametrize(("head", "kind"), HEADS, ids=[head[:8].hex() or "empty" for head, _ in HEADS])
def test_a_head_tells_its_kind(head: bytes, kind: str) -> None:
    assert sniff(head) == kind


@pytest.mark.parametrize(
    ("container", "codec", "kind"),
    [("mp3", "libmp3lame", "mp3"), ("flac", "flac", "flac"), ("adts", "aac", "aac"), ("mp4", "aac", "mp4")],
)
def test_real_files_are_told(voice: Samples, container: str, codec: str, kind: str) -> None:
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=16_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(voice[None, :], format="s16", layout="mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert sniff(target.getvalue()[:SNIFF_BYTES]) == kind


def test_twelve_bytes_of_a_wav_are_enough() -> None:
    assert sniff(encode_wav(np.zeros(1, np.int16), 8_000)[:SNIFF_BYTES]) == "wav"
