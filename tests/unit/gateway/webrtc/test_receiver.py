"""The receive side with real Opus: what was spoken is heard, and nothing that comes does more harm than itself."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodecs.libopus import Encoder
from gateway.webrtc.receiver import GONE_S, AudioReceiver
from gateway.webrtc.rtcp import (
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_goodbye,
    build_receiver_report,
    build_sender_report,
    ntp_middle,
)
from gateway.webrtc.rtp import build_rtp
from voicegate.kernel.audio import Frame, Samples

TYPE = 111
TICKS = 960


def voice(seconds: float) -> Samples:
    """Voiced sound at 150 Hz, in syllables: what Opus takes for speech."""
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    wave = sum(np.cos(2 * np.pi * 150 * k * time_s) / k for k in range(1, 12))
    return np.rint(4_500 * wave * (0.7 - 0.3 * np.cos(2 * np.pi * 3 * time_s))).astype(np.int16)


def spoken(seconds: float = 2.0, *, fec: bool = False) -> list[bytes]:
    """Opus packets of 20 ms."""
    encoder = Encoder(fec=fec, bit_rate=32_000)
    encoder.expect_loss(20 if fec else 0)
    return [encoder.encode(frame) for frame in voice(seconds).reshape(-1, 320)]


PAYLOADS = spoken()
PROTECTED = spoken(fec=True)


def packet(number: int, payload: bytes | None = None, *, ssrc: int = 1, kind: int = TYPE) -> bytes:
    content = PAYLOADS[number % len(PAYLOADS)] if payload is None else payload
    return build_rtp(kind, number, number * TICKS, ssrc, content)


def heard(receiver: AudioReceiver, packets: Sequence[bytes | None], *, from_s: float = 0.0) -> list[Frame]:
    """One packet (None: lost) each 20 ms, taken at once, and what is due 0.3 s later."""
    frames: list[Frame] = []
    at_s = from_s
    for place, each in enumerate(packets):
        at_s = from_s + place * 0.02
        if each is not None:
            receiver.receive(each, at_s)
        frames += receiver.take(at_s)
    return frames + list(receiver.take(at_s + 0.3))


def without(lost: range, payloads: list[bytes], count: int) -> list[bytes | None]:
    return [None if number in lost else packet(number, payloads[number]) for number in range(count)]


def loud(frames: Sequence[Frame]) -> list[bool]:
    return [bool(np.abs(frame.astype(int)).max() > 2_000) for frame in frames]


def test_each_packet_is_a_frame_at_once() -> None:
    receiver = AudioReceiver(TYPE)
    assert receiver.take(0.0) == []
    frames = heard(receiver, [packet(number) for number in range(50)])
    assert [frame.shape for frame in frames] == [(320,)] * 50
    assert all(frame.dtype == np.int16 for frame in frames)
    assert all(loud(frames[1:]))
    spectrum = np.abs(np.fft.rfft(np.concatenate(frames[10:])))
    assert np.argmax(spectrum) * 16_000 / (40 * 320) == pytest.approx(150, abs=5)
    assert (receiver.counts.received, receiver.counts.lost) == (50, 0)
    assert receiver.last_heard_s == pytest.approx(0.98)
    assert receiver.delay_ms == 0


@pytest.mark.parametrize("samples", [40, 160, 640, 960])
def test_packets_of_other_lengths_become_frames_of_20_ms(samples: int) -> None:
    """Opus takes several frames in one packet (RFC 6716 §3.2); 2.5 and 10 ms by an encoder of other frames."""
    receiver = AudioReceiver(TYPE)
    lib, encoder = Encoder()._lib, Encoder()
    source, out = voice(1.2), np.zeros(1_500, np.uint8)
    frames: list[Frame] = []
    for number, start in enumerate(range(0, 19_200, samples)):
        piece = source[start : start + samples].copy()
        size = lib.opus_encode(encoder._state.address, piece.ctypes.data, samples, out.ctypes.data, 1_500)
        receiver.receive(
            build_rtp(TYPE, number, number * samples * 3, 1, out[:size].tobytes()), number * samples / 16e3
        )
        frames += receiver.take(number * samples / 16e3)
    assert len(frames) == 60
    assert all(loud(frames[2:]))


def test_a_lost_packet_is_rebuilt_from_the_next_one() -> None:
    receiver = AudioReceiver(TYPE)
    frames = heard(receiver, without(range(40, 41), PROTECTED, 60))
    assert (receiver.counts.lost, receiver.counts.recovered, receiver.counts.concealed_ms) == (1, 1, 0)
    assert len(frames) == 60
    assert all(loud(frames[1:]))


def test_without_a_second_copy_it_is_concealed() -> None:
    receiver = AudioReceiver(TYPE)
    frames = heard(receiver, without(range(40, 42), PAYLOADS, 60))
    assert (receiver.counts.lost, receiver.counts.recovered, receiver.counts.concealed_ms) == (2, 0, 40)
    assert len(frames) == 60
    assert all(loud(frames[1:]))
    assert receiver.delay_ms > 0


def test_concealment_does_not_go_on_for_ever() -> None:
    receiver = AudioReceiver(TYPE)
    frames = heard(receiver, without(range(40, 65), PAYLOADS, 80))
    assert receiver.counts.concealed_ms == 500
    assert len(frames) == 80
    assert not any(loud(frames[47:65]))
    assert all(loud(frames[66:]))


def test_a_pause_is_silence() -> None:
    receiver = AudioReceiver(TYPE)
    frames = heard(receiver, [packet(number) for number in range(10)])
    receiver.receive(build_rtp(TYPE, 10, 16 * TICKS + 480, 1, PAYLOADS[10]), 0.33)
    frames += receiver.take(0.33)
    assert len(frames) == 17, "the pause was 130 ms: half a frame waits"
    assert not any(loud(frames[10:16]))
    receiver.receive(build_rtp(TYPE, 11, 17 * TICKS + 480, 1, PAYLOADS[11]), 0.35)
    assert len(receiver.take(0.35)) == 1


def test_silence_of_a_stall_is_one_frame_at_a_time() -> None:
    receiver = AudioReceiver(TYPE)
    receiver.receive(packet(0), 0.0)
    taken = [receiver.take(tick * 0.02) for tick in range(50)]
    counts = [len(frames) for frames in taken]
    assert counts[:26] == [1] + [0] * 25, "for half a second the network may be late"
    assert counts[28:] == [1] * 22
    assert not taken[-1][0].any()
    with pytest.raises(ValueError, match="read-only"):
        taken[-1][0][0] = 1


# --- malformed and hostile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [b"", b"\x80", bytes(40), packet(20, b"\x4b\x00"), packet(20, b"\x4b\x3f" + bytes(70)), b"\xff" * 100],
    ids=["empty", "short", "zeros", "no frames", "too long", "ones"],
)
def test_a_malformed_packet_costs_itself(bad: bytes) -> None:
    receiver = AudioReceiver(TYPE)
    packets = [packet(number) for number in range(40)]
    frames = heard(receiver, [*packets[:20], bad, *packets[20:]])
    assert len(frames) == 40
    assert (receiver.counts.malformed, receiver.counts.lost) == (1, 0)


def test_opus_that_only_the_decoder_finds_wrong_is_concealed() -> None:
    receiver = AudioReceiver(TYPE)
    packets = [packet(number) for number in range(40)]
    packets[20] = packet(20, b"\x4b\x41\xff\xff\xff")
    assert len(heard(receiver, packets)) == 40
    assert receiver.counts.malformed == 1


def test_other_payload_types_and_padding_have_their_place() -> None:
    receiver = AudioReceiver(TYPE)
    packets = [packet(number) for number in range(40)]
    packets[10] = packet(10, b"\x05\x80\x00\xa0", kind=126)
    packets[20] = b"\xa0" + packet(20, b"")[1:] + b"\0\0\0\x04"
    heard(receiver, packets)
    assert (receiver.counts.ignored, receiver.counts.lost, receiver.counts.received) == (2, 0, 38)


@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 60), st.integers(0, 255)), max_size=30))
@settings(deadline=None, max_examples=60)
def test_any_bytes_flipped_cost_at_most_the_packets_they_are_in(changes: list[tuple[int, int, int]]) -> None:
    packets = [bytearray(packet(number)) for number in range(50)]
    for number, place, value in changes:
        packets[number][place % len(packets[number])] = value
    receiver = AudioReceiver(TYPE)
    mutated = [bytes(each) for each in packets]
    touched = sum(each != packet(number) for number, each in enumerate(mutated))
    frames = heard(receiver, [*mutated, *(packet(number) for number in range(50, 100))])
    # A flipped first byte may make a packet of 20 ms one of up to 120 (RFC 6716, section 3.1).
    assert 100 - touched <= len(frames) <= 100 + 5 * touched
    assert all(loud(frames[60:]))


@given(st.lists(st.binary(max_size=100), max_size=20))
@settings(deadline=None)
def test_any_datagrams_are_survived(datagrams: list[bytes]) -> None:
    receiver = AudioReceiver(TYPE)
    for place, datagram in enumerate(datagrams):
        receiver.receive(datagram, place * 0.02)
        receiver.rtcp(datagram, place * 0.02)
        receiver.take(place * 0.02)
        receiver.report(place * 0.02)


# --- sources ------------------------------------------------------------------------------------------------------


def test_a_thousand_invented_sources_change_nothing() -> None:
    receiver = AudioReceiver(TYPE)
    packets = []
    for number in range(50):
        packets += [packet(number)] + [packet(number, ssrc=100 + 20 * number + each) for each in range(20)]
    frames: list[Frame] = []
    for place, each in enumerate(packets):
        receiver.receive(each, place * 0.02 / 21)
        frames += receiver.take(place * 0.02 / 21)
    assert len(frames) == 50
    assert receiver.counts.strangers == 1_000


def test_a_second_voice_beside_the_first_is_not_followed() -> None:
    receiver = AudioReceiver(TYPE)
    both = [each for number in range(50) for each in (packet(number), packet(number, ssrc=2))]
    frames = heard(receiver, both)
    assert len(frames) == 50
    assert (receiver.counts.strangers, receiver.counts.restarts) == (50, 0)


def test_a_single_packet_of_an_invented_source_does_not_keep_the_voice_out() -> None:
    receiver = AudioReceiver(TYPE)
    frames = heard(receiver, [packet(0, ssrc=9), *(packet(number) for number in range(1, 20))])
    assert len(frames) == 19, "one of them was needed to show that it goes on"
    assert receiver.counts.strangers == 1


def test_another_source_takes_over_from_one_that_is_quiet() -> None:
    receiver = AudioReceiver(TYPE)
    heard(receiver, [packet(number) for number in range(10)])
    later = heard(receiver, [packet(30_000 + number, ssrc=2) for number in range(10)], from_s=0.18 + GONE_S)
    assert len(later) == 9, "the first one might be an accident"
    assert receiver.counts.restarts == 1
    assert receiver.report(1.0) is not None
    assert receiver.report(1.0).ssrc == 2  # type: ignore[union-attr]


def test_or_from_one_that_said_goodbye() -> None:
    receiver = AudioReceiver(TYPE)
    heard(receiver, [packet(number) for number in range(10)])
    receiver.rtcp(build_goodbye(99), 0.2)
    for number in range(2):
        receiver.receive(packet(5_000 + number, ssrc=2), 0.2)
    assert receiver.counts.strangers == 2
    receiver.rtcp(build_goodbye(1), 0.24)
    assert len(heard(receiver, [packet(5_002 + number, ssrc=2) for number in range(10)], from_s=0.24)) >= 9
    assert heard(receiver, [packet(number, ssrc=3) for number in range(5)], from_s=0.44)[5:] == []
    assert receiver.report(1.0).ssrc == 2  # type: ignore[union-attr]


# --- reports ------------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_report_before_the_stream() -> None:
    receiver = AudioReceiver(TYPE)
    receiver.rtcp(build_sender_report(SenderReport(1, 1 << 40, 0, 0, 0)) + build_goodbye(1), 0.0)
    assert receiver.report(1.0) is None
    assert receiver.jitter_ms == 0


def test_a_report_of_the_source_that_is_followed() -> None:
    receiver = AudioReceiver(TYPE)
    heard(receiver, without(range(10, 11), PAYLOADS, 20))
    receiver.rtcp(build_sender_report(SenderReport(2, 9 << 40, 0, 0, 0)), 0.3)
    receiver.rtcp(build_sender_report(SenderReport(1, 1 << 40, 0, 0, 0)), 0.4)
    block = receiver.report(0.9)
    assert block is not None
    assert (block.ssrc, block.lost, block.highest_sequence) == (1, 1, 19)
    assert (block.last_report, block.since_last_report) == (ntp_middle(1 << 40), 32_768)
    assert receiver.jitter_ms > 0


def test_reports_about_us_are_handed_on() -> None:
    receiver = AudioReceiver(TYPE)
    one, other = ReportBlock(5, 1, 2, 3, 4, 5, 6), ReportBlock(6, 1, 2, 3, 4, 5, 6)
    both = build_sender_report(SenderReport(1, 0, 0, 0, 0, (one,))) + build_receiver_report(ReceiverReport(1, (other,)))
    assert receiver.rtcp(both, 0.0) == [one, other]
    assert receiver.rtcp(both[:-1], 0.0) == ()
    assert receiver.counts.malformed == 1
