"""What a 20 ms frame costs in every codec: a table of microseconds, and JSON for comparison between versions.

    python -m benchmarks.codecs [--json PATH] [--frames N]

Each figure is the median over batches of 50 frames, on one core, state kept as in a call. A voice-like signal is used
where the content matters (Opus); a whole recording is measured once and divided by its frames.
"""

import argparse
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

# The import package lies in a source root of its own; an installed distribution has it on the path already.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "codecs"))

from audiocodecs.media import MediaDecoder
from audiocodecs.opus import OpusDecoder, OpusEncoder
from audiocodecs.registry import FORMATS, open_decoder, open_encoder
from audiocodecs.resample import Resampler
from audiocodecs.wav import decode_wav, encode_wav
from audiocodecs.webm import WebmDemuxer
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from voicegate.kernel.audio import Samples, frame_samples

BATCH = 50
Step: TypeAlias = Callable[[int], object]
RESAMPLED_KHZ = [(8, 16), (16, 8), (24, 16), (48, 16), (16, 24), (16, 48)]
T = TypeVar("T")


def each(call: Callable[[T], object], items: Sequence[T]) -> Step:
    """The step that gives ``call`` the n-th item."""
    return lambda n: call(items[n])


def voice(rate_hz: int, seconds: float) -> Samples:
    """Harmonics of a gliding pitch under a syllable envelope."""
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    phase = 2 * np.pi * (120 * time_s + 2 * np.sin(2 * np.pi * time_s))
    wave = sum(np.sin(k * phase) / k for k in range(1, 20))
    loud: Samples = np.rint(6000 * wave * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * time_s))).astype(np.int16)
    return loud


def frames_of(rate_hz: int, count: int) -> list[Samples]:
    return list(voice(rate_hz, count / 50).reshape(count, frame_samples(rate_hz)))


def measure_us(step: Step, count: int) -> float:
    """Median over batches of the time of one step."""
    batches = []
    for start in range(0, count, BATCH):
        began = time.perf_counter()
        for index in range(start, start + BATCH):
            step(index)
        batches.append((time.perf_counter() - began) / BATCH * 1e6)
    return statistics.median(batches)


def format_steps(count: int) -> Iterable[tuple[str, Step]]:
    for form, rates in FORMATS.items():
        for rate_hz in rates:
            frames = frames_of(rate_hz, count)
            encoder, decoder = open_encoder(form, rate_hz), open_decoder(form, rate_hz)
            source = open_encoder(form, rate_hz)
            packets = [packet for frame in frames for packet in source.push(frame)]
            yield f"encode {form} {rate_hz}", each(encoder.push, frames)
            yield f"decode {form} {rate_hz} -> 16000", each(decoder.push, packets)


def resampler_steps(count: int) -> Iterable[tuple[str, Step]]:
    for from_khz, to_khz in RESAMPLED_KHZ:
        from_hz, to_hz = from_khz * 1000, to_khz * 1000
        resampler, frames = Resampler(from_hz, to_hz), frames_of(from_hz, count)
        yield f"resample {from_hz} -> {to_hz}", each(resampler.push, frames)


def webm_steps(count: int) -> Iterable[tuple[str, Step]]:
    """A recorder's stream, one packet of 20 ms a message: demultiplexing alone, then with decoding."""
    encoder = OpusEncoder(48_000)
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    track = element(0xD7, b"\x01") + element(0x86, b"A_OPUS") + element(0x63A2, head)
    begin = element(0x1A45DFA3, b"") + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    begin += element(0x1654AE6B, element(0xAE, track)) + b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7
    blocks = [element(0xA3, b"\x81\0\0\x80" + packet) for f in frames_of(48_000, count) for packet in encoder.push(f)]
    demuxer, media = WebmDemuxer(), MediaDecoder()
    demuxer.push(begin)
    media.push(begin)
    yield "demultiplex webm", each(demuxer.push, blocks)
    yield "webm message -> 16000", each(media.push, blocks)


def element(element_id: int, body: bytes) -> bytes:
    name = element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")
    return name + (1 << 28 | len(body)).to_bytes(4, "big") + body


def whole_steps() -> Iterable[tuple[str, Step, int]]:
    seconds = 10
    for rate_hz in (16_000, 44_100):
        file = encode_wav(voice(rate_hz, seconds), rate_hz)
        yield f"whole wav {rate_hz} -> 16000", each(decode_wav, [file] * BATCH), seconds * 50
    yield "open an opus decoder (once a call)", lambda _: OpusDecoder(), 1
    yield "open an opus encoder (once a call)", lambda _: OpusEncoder(48_000), 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Microseconds per 20 ms frame of every codec.")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--frames", type=int, default=500, help="frames measured for each line")
    arguments = parser.parse_args()
    count = max(BATCH, arguments.frames // BATCH * BATCH)
    figures = {
        name: measure_us(step, count)
        for steps in (format_steps, resampler_steps, webm_steps)
        for name, step in steps(count)
    }
    figures |= {name: measure_us(step, BATCH) / frames for name, step, frames in whole_steps()}
    print(f"{'20 ms frame':<36}{'µs':>10}{'of a core':>12}")
    for name, value in figures.items():
        print(f"{name:<36}{value:>10.1f}{value / 20_000:>12.3%}")
    write_results(arguments.json, this_machine(), unit="microseconds per 20 ms frame", frames=count, figures=figures)


if __name__ == "__main__":
    main()
