"""The send side: a packet each tick, silence that costs nothing, and protection where packets are lost."""

import numpy as np
import pytest

from audiocodecs.libopus import RATES_HZ, Decoder, has_fec
from gateway.webrtc.rtcp import ReportBlock, SenderReport, ntp_middle, ntp_time, parse_rtcp
from gateway.webrtc.rtp import RtpPacket, parse_rtp
from gateway.webrtc.sender import HANGOVER, AudioSender, silent_packet
from voicegate.kernel.audio import Frame
from voicegate.kernel.errors import AudioError

RATE_HZ = 16_000


def voice(frames: int, rate_hz: int = RATE_HZ) -> list[Frame]:
    """Voiced sound in syllables; after 25 frames it ends in the middle of one, far from zero."""
    size = rate_hz // 50
    time_s = np.arange(frames * size) / rate_hz
    wave = sum(np.cos(2 * np.pi * 130 * k * time_s) / k for k in range(1, 12))
    syllables = 0.6 - 0.4 * np.cos(2 * np.pi * 3 * time_s)
    return list(np.rint(5_000 * wave * syllables).astype(np.int16).reshape(frames, size))


def opened(rate_hz: int = RATE_HZ, **options: int) -> AudioSender:
    return AudioSender(7, 111, "us", rate_hz=rate_hz, **options)


def sent(sender: AudioSender, frames: list[Frame | None]) -> list[RtpPacket]:
    """A packet for each tick, 20 ms after the one before (or after what was sent earlier)."""
    from_s = sender.packets / 50
    packets = [sender.send(frame, from_s + place / 50) for place, frame in enumerate(frames)]
    return [parse_rtp(packet) for packet in packets if packet is not None]


def lost(percent: float, **fields: int) -> ReportBlock:
    return ReportBlock(7, round(percent * 2.56), 0, 0, 0, fields.get("last", 0), fields.get("since", 0))


def test_numbers_and_time_go_on_whatever_is_sent() -> None:
    sender = opened(sequence=65_534, timestamp=(1 << 32) - 960)
    packets = sent(sender, [None, *voice(2), *[None] * 30, *voice(1)])
    assert [each.sequence for each in packets] == [(65_534 + n) % 65_536 for n in range(34)]
    assert [each.timestamp for each in packets] == [(n - 1) * 960 % (1 << 32) for n in range(34)]
    assert {(each.ssrc, each.payload_type) for each in packets} == {(7, 111)}
    assert sender.packets == 34
    assert sender.octets == sum(len(each.payload) for each in packets)


def test_the_marker_is_at_the_first_packet_after_silence() -> None:
    packets = sent(opened(), [None, *voice(3), None, *voice(1), *[None] * 20, *voice(2)])
    assert [place for place, each in enumerate(packets) if each.marker] == [1, 5, 26]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_what_is_sent_is_heard_and_ends_in_silence(rate_hz: int) -> None:
    decoder = Decoder()
    packets = sent(opened(rate_hz), [*voice(25, rate_hz), *[None] * 25])
    heard = [np.abs(decoder.decode(each.payload).astype(int)).max() for each in packets]
    assert min(heard[3:25]) > 2_000
    assert max(heard[28:]) < 50, "and nothing clicks where encoding ends"


def test_long_silence_is_one_small_packet_over_and_over() -> None:
    packets = sent(opened(), [*voice(5), *[None] * 60])
    rest = {each.payload for each in packets[5 + HANGOVER :]}
    assert rest == {silent_packet(RATE_HZ)}
    assert len(silent_packet(RATE_HZ)) <= 10


def test_silence_before_the_first_word_is_not_encoded_either() -> None:
    assert {each.payload for each in sent(opened(), [None] * 5)} == {silent_packet(RATE_HZ)}


def test_a_reply_that_is_cut_off_fades() -> None:
    """Its last sample is far from zero; two frames later all is quiet, without a step between."""
    decoder = Decoder()
    frames = voice(25)
    assert abs(int(frames[-1][-1])) > 5_000
    out = np.concatenate([decoder.decode(each.payload) for each in sent(opened(), [*frames, *[None] * 3])]).astype(int)
    steps = np.abs(np.diff(out))
    assert steps[25 * 320 :].max() <= steps[: 25 * 320].max()
    assert np.abs(out[-320:]).max() < 100


def test_the_repeated_packet_does_not_disturb_the_words_after_it() -> None:
    """The encoder knows nothing of it, so a decoder that never saw it is the one that is in step with the encoder."""
    packets = sent(opened(), [*voice(20), *[None] * 40, *voice(20)])
    decoder, in_step = Decoder(), Decoder()
    heard = np.concatenate([decoder.decode(each.payload) for each in packets][-20:]).astype(float)
    encoded = packets[: 20 + HANGOVER] + packets[-20:]
    meant = np.concatenate([in_step.decode(each.payload) for each in encoded][-20:]).astype(float)
    assert np.sqrt(np.mean((heard - meant) ** 2)) < 0.02 * np.sqrt(np.mean(meant**2))


# --- the stream's time --------------------------------------------------------------------------------------------


def test_ticks_that_come_early_do_not_put_the_stream_ahead_for_long() -> None:
    """A reply begins every second, and each time the tick comes 12 ms early: without care, 36 s become 37."""
    sender = opened()
    now_s, packets = 0.0, 0
    for second in range(60):
        for place in range(50):
            frame = voice(1)[0] if place < 20 else None
            packets += sender.send(frame, now_s) is not None
            now_s += 0.008 if second and place == 0 else 0.02
        assert abs(packets / 50 - now_s) < 0.05


def test_a_stall_leaves_a_gap_in_the_silence_and_none_in_speech() -> None:
    sender = opened()
    sent(sender, [*voice(5), None])
    packet = sender.send(None, 0.12 + 0.5)
    assert packet is not None
    assert (parse_rtp(packet).timestamp, parse_rtp(packet).sequence) == (31 * 960, 6)
    packet = sender.send(voice(1)[0], 0.64 + 0.5)
    assert packet is not None
    assert (parse_rtp(packet).timestamp, parse_rtp(packet).marker) == (57 * 960, True)
    packet = sender.send(voice(1)[0], 1.16 + 0.5)
    assert packet is not None
    assert parse_rtp(packet).timestamp == 58 * 960


def test_ticks_at_another_phase_or_late_are_left_alone() -> None:
    sender = opened()
    late_s = [0.0, 0.004, 0.019, 0.0, 0.035, 0.016, 0.001, 0.0]
    packets = [sender.send(None, place / 50 + late) for place, late in enumerate(late_s)]
    assert [parse_rtp(packet).timestamp for packet in packets if packet] == [960 * place for place in range(8)]


def test_a_frame_at_another_rate_is_refused() -> None:
    with pytest.raises(AudioError):
        opened().send(np.zeros(480, np.int16), 0.0)


# --- reports ------------------------------------------------------------------------------------------------------


def test_a_sender_report_says_what_was_sent_and_who_we_are() -> None:
    sender = opened(timestamp=1_000)
    sent(sender, [*voice(3)])
    packet = sender.sender_report(12.5, (lost(10),))
    [report] = parse_rtcp(packet)
    assert report == SenderReport(7, ntp_time(12.5), 1_000 + 3 * 960, 3, sender.octets, (lost(10),))
    assert b"us" in packet


def test_a_second_copy_is_sent_once_packets_are_lost_and_no_longer_when_they_are_not() -> None:
    sender = opened()
    cheap = sent(sender, [*voice(50)])
    assert all(each.payload[0] >> 3 >= 16 for each in cheap), "the spectrum (RFC 6716 section 3.1): no second copies"
    sender.received(lost(10), 1.0)
    assert sum(has_fec(each.payload) for each in sent(sender, [*voice(50)])) > 20
    for _ in range(30):
        sender.received(lost(0), 2.0)
    assert not any(has_fec(each.payload) for each in sent(sender, [*voice(50)])[2:])


def test_loss_is_believed_at_once_and_forgotten_slowly() -> None:
    sender = opened()
    sender.received(lost(20), 1.0)
    assert sender.loss == pytest.approx(0.2, abs=0.01)
    sender.received(lost(0), 2.0)
    assert sender.loss == pytest.approx(0.175, abs=0.01)


def test_even_a_path_that_loses_everything_is_a_report_we_can_follow() -> None:
    sender = opened()
    sender.received(lost(99.6), 1.0)
    assert len(sent(sender, [*voice(2)])) == 2


def test_a_report_about_somebody_else_is_not_ours() -> None:
    sender = opened()
    sender.received(ReportBlock(8, 128, 0, 0, 0, 1, 1), 1.0)
    assert (sender.loss, sender.round_trip_s) == (0.0, None)


def test_the_round_trip_is_what_is_left_of_the_time_since_our_report() -> None:
    sender = opened()
    sender.received(lost(0, last=ntp_middle(ntp_time(100.0)), since=65_536 // 2), 100.62)
    assert sender.round_trip_s == pytest.approx(0.12, abs=0.001)
    sender.received(lost(0, last=ntp_middle(ntp_time(100.0)), since=65_536 * 50), 100.62)
    assert sender.round_trip_s == pytest.approx(0.12, abs=0.001), "a peer that says it took longer than it did"
    sender.received(lost(0), 101.0)
    assert sender.round_trip_s == pytest.approx(0.12, abs=0.001)
