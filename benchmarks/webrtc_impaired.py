"""What a bad network does to a caller's voice, before anybody listens to it.

``python -m benchmarks.webrtc_impaired [--seeds 5] [--json FILE]``

Recorded speech goes through a browser's kind of encoder (Opus, in-band FEC), RTP, a modelled network
(:mod:`benchmarks.impairment`), our receiver, and the embedded speech to text. Time is virtual and the network's delay
beyond its jitter is 0, so every figure is what the receiver makes of it. Definitions:

``delay``
    From the first sample of a packet's audio to the moment when its frame is handed to voice activity: 20 ms of them
    are the packet itself.
``missing``
    Packets that were not there when they were needed, lost or late, before second copies and concealment.
``recovery``
    From the end of an outage until the delay is, for good, within 20 ms of the worst before it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated

import jiwer
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from audiocodecs.libopus import Encoder
from benchmarks.corpus import Clip, questions, recorded
from benchmarks.impairment import Network, Outage, Path
from benchmarks.machine import this_machine
from benchmarks.results import write_results
from benchmarks.statistics import share
from benchmarks.stt import words
from gateway.webrtc.counts import ReceiverCounts
from gateway.webrtc.jitter import JitterBuffer, Missing, Play
from gateway.webrtc.receiver import AudioReceiver
from gateway.webrtc.rtp import build_rtp
from pipeline.adapters.moonshine import MoonshineTranscriber
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Samples, frame_samples

FRAME_S = FRAME_MS / 1000
TICKS = 48 * FRAME_MS
PAYLOAD_TYPE = 111
_TAIL_S = 1.0
_USUAL_S = 0.02
_CHEAPER = 4
"""So many times more seeds where nothing is decoded and recognised."""
_PACKETS = 3_000
"""Of a measurement of delays: a minute."""

NETWORKS = {
    "clean": Network(),
    "5 % loss": Network(loss=0.05),
    "5 % loss, 50 ms jitter": Network(loss=0.05, jitter_s=0.05),
    "the same, in order": Network(loss=0.05, jitter_s=0.05, in_order=True),
    "5 % loss, 100 ms jitter": Network(loss=0.05, jitter_s=0.1),
    "10 % loss, 50 ms jitter": Network(loss=0.1, jitter_s=0.05),
    "reordered and doubled": Network(jitter_s=0.05, duplicated=0.1),
}
OUTAGES_S = (0.06, 0.3, 2.0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet of a trace: its number, and when its audio was handed on."""

    number: int
    handed_s: float

    @property
    def delay_ms(self) -> float:
        return (self.handed_s - self.number * FRAME_S) * 1000


@dataclass(frozen=True, slots=True)
class Trace:
    """What the buffer made of a minute of packets."""

    sent: int
    lost: int
    """By the network: it never delivered them."""
    played: list[Arrival]
    concealed: int
    counts: ReceiverCounts

    @property
    def lost_percent(self) -> float:
        return 100 * self.lost / self.sent

    @property
    def missing_percent(self) -> float:
        return 100 * (self.sent - len(self.played)) / self.sent

    def delay_ms(self, percentile: float) -> float:
        return float(np.percentile([each.delay_ms for each in self.played], percentile))

    def recovery_s(self, outage: Outage) -> float:
        """See the module's definitions."""
        over_s = outage.begin_s + outage.length_s
        worst_ms = max(each.delay_ms for each in self.played if each.handed_s < outage.begin_s)
        slow = [each.handed_s for each in self.played if each.delay_ms > worst_ms + _USUAL_S * 1000]
        return max(slow, default=over_s) - over_s


@dataclass(frozen=True, slots=True)
class Delays:
    network: str
    median_ms: float
    p95_ms: float
    lost_percent: float
    """By the network itself; the mean of all seeds, as the next one."""
    missing_percent: float
    late: int


@dataclass(frozen=True, slots=True)
class Recovery:
    outage_s: float
    held: bool
    jitter_ms: float
    recovery_s: float


@dataclass(frozen=True, slots=True)
class Words:
    network: str
    word_error_rate: float | None
    """Per cent."""
    words: int
    recovered_percent: float | None
    """Of the lost packets, from second copies."""


def events(network: Network, seed: int, packets: int, *, phase_s: float = 0.007) -> Iterator[tuple[float, int | None]]:
    """Arrivals of packet numbers, and ticks (None) every 20 ms, in the order of time."""
    path = Path(network, seed)
    times: list[tuple[float, int | None]] = [
        (at, number) for number in range(packets) for at in path.carry((number + 1) * FRAME_S)
    ]
    times += [(phase_s + tick * FRAME_S, None) for tick in range(packets + int(_TAIL_S / FRAME_S))]
    yield from sorted(times, key=lambda each: each[0])


def through_buffer(network: Network, seed: int, packets: int = _PACKETS, *, at_once: bool = True) -> Trace:
    """Numbered packets through network and jitter buffer, asked at each tick and, ``at_once``, after each packet."""
    counts = ReceiverCounts()
    buffer = JitterBuffer(counts, 0.0)
    played: list[Arrival] = []
    concealed = 0
    came = set()
    for at, number in events(network, seed, packets):
        if number is not None:
            came.add(number)
            buffer.put(number & 0xFFFF, number * TICKS, TICKS, b"%d      " % number, at)
            if not at_once:
                continue
        for due in buffer.take(at):
            if isinstance(due, Play):
                played.append(Arrival(int(due.payload), at))
            elif isinstance(due, Missing):
                concealed += due.packets
    return Trace(packets, packets - len(came), played, concealed, counts)


def encoded(samples: Samples) -> list[bytes]:
    """A clip as a browser sends it: 20 ms a packet, 32 kbit/s, with second copies for 10 % of loss."""
    encoder = Encoder(bit_rate=32_000, complexity=9, fec=True)
    encoder.expect_loss(10)
    size = frame_samples(PIPELINE_RATE_HZ)
    padded = np.concatenate([samples, np.zeros(-samples.size % size + 10 * size, np.int16)])
    return [
        build_rtp(PAYLOAD_TYPE, number, number * TICKS, 1, encoder.encode(frame))
        for number, frame in enumerate(padded.reshape(-1, size))
    ]


def through_receiver(packets: Sequence[bytes], network: Network, seed: int) -> tuple[Samples, ReceiverCounts]:
    """Packets through network and receiver: what voice activity and speech to text hear."""
    receiver = AudioReceiver(PAYLOAD_TYPE)
    frames: list[Samples] = []
    for at, number in events(network, seed, len(packets)):
        if number is not None:
            receiver.receive(packets[number], at)
        frames.extend(receiver.take(at))
    return np.concatenate(frames), receiver.counts


def measure_delays(seeds: int) -> list[Delays]:
    """The worst seed of each network, figure by figure."""
    rows = []
    for name, network in NETWORKS.items():
        traces = [through_buffer(network, seed) for seed in range(seeds)]
        rows.append(
            Delays(
                name,
                max(round(trace.delay_ms(50), 1) for trace in traces),
                max(round(trace.delay_ms(95), 1) for trace in traces),
                round(float(np.mean([trace.lost_percent for trace in traces])), 2),
                round(float(np.mean([trace.missing_percent for trace in traces])), 2),
                max(trace.counts.late for trace in traces),
            )
        )
    return rows


def measure_recovery(seeds: int) -> list[Recovery]:
    rows = []
    for length_s in OUTAGES_S:
        for held in (False, True):
            for jitter_s in (0.0, 0.05):
                outage = Outage(20.0, length_s, held)
                network = Network(jitter_s=jitter_s, outages=(outage,))
                worst = max(through_buffer(network, seed).recovery_s(outage) for seed in range(seeds))
                rows.append(Recovery(length_s, held, jitter_s * 1000, round(worst, 3)))
    return rows


async def measure_words(seeds: int) -> list[Words]:
    """Word error rate over all clips and seeds of each network."""
    clips = recorded("speech") or await questions()
    packets = {clip.name: encoded(clip.samples) for clip in clips}
    rows = []
    async with MoonshineTranscriber() as engine:
        for name, network in NETWORKS.items():
            heard: list[tuple[Clip, str]] = []
            lost = recovered = 0
            for seed in range(seeds if network != Network() else 1):
                for clip in clips:
                    samples, counts = through_receiver(packets[clip.name], network, seed)
                    heard.append((clip, (await engine.transcribe(samples)).text))
                    lost, recovered = lost + counts.lost, recovered + counts.recovered
            references = [words(clip.reference) for clip, _ in heard]
            rate = jiwer.wer(references, [words(text) for _, text in heard])
            count = sum(len(each.split()) for each in references)
            rows.append(Words(name, round(100 * rate, 1), count, share(recovered, lost)))
    return rows


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each network.")] = 5,
    json_file: Annotated[FilePath | None, typer.Option("--json", help="Write all results here.")] = None,
) -> None:
    """Measure delay, missing audio, recovery and word error rate behind modelled networks."""
    machine = this_machine()
    delays, recovery = measure_delays(_CHEAPER * seeds), measure_recovery(seeds)
    heard = asyncio.run(measure_words(seeds))
    console = Console()
    for title, rows in (("Delay and losses", delays), ("After an outage", recovery), ("Words", heard)):
        console.print(_table(title, rows))
    write_results(json_file, machine, settings={"seeds": seeds}, delays=delays, recovery=recovery, words=heard)


def _table(title: str, rows: Sequence[Delays | Recovery | Words]) -> Table:
    table = Table(title=title, title_justify="left")
    names = rows[0].__dataclass_fields__
    for name in names:
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(str(getattr(row, name)) for name in names))
    return table


if __name__ == "__main__":
    typer.run(main)
