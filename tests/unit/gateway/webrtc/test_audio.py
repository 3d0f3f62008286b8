"""Both directions of a call's audio, joined to a conversation and to a peer."""

from collections.abc import Callable

import numpy as np

from gateway.webrtc.audio import REPORT_S, CallAudio
from gateway.webrtc.receiver import AudioReceiver
from gateway.webrtc.rtcp import ReceiverReport, ReportBlock, SenderReport, build_receiver_report, parse_rtcp
from gateway.webrtc.rtp import parse_rtp
from gateway.webrtc.sender import AudioSender
from voicegate.kernel.audio import Frame

FRAME = np.full(320, 1000, np.int16)


class Voice:
    """A conversation, as far as :class:`CallAudio` asks."""

    def __init__(self, frames: list[Frame | None]) -> None:
        self.frames = frames
        self.heard: list[Frame] = []

    def take_frames(self, most: int = 1) -> Frame | None:
        return self.frames.pop(0) if self.frames else None

    def push_audio(self, frame: Frame) -> None:
        self.heard.append(frame)


def speak(audio: CallAudio, voice: Voice | None, times: list[float]) -> list[bytes]:
    packets: list[bytes] = []
    send: Callable[[bytes], None] = packets.append
    for now in times:
        audio.speak(voice, send, now)  # type: ignore[arg-type]
    return packets


def test_both_directions() -> None:
    ours = AudioSender(7, 111, "us", rate_hz=16_000)
    audio = CallAudio(AudioReceiver(111), ours, 7, "us")
    voice = Voice([FRAME, FRAME, None])
    packets = speak(audio, voice, [n * 0.02 for n in range(5)])
    assert [parse_rtp(each).sequence for each in packets] == [0, 1, 2, 3, 4]
    there = CallAudio(AudioReceiver(111), None, 9, "them")
    for n, packet in enumerate(packets):
        there.heard(packet, voice, n * 0.02)  # type: ignore[arg-type]
    there.listen(voice, 0.3)  # type: ignore[arg-type]
    assert voice.heard
    there.listen(None, 1.0)
    assert speak(there, voice, [0.0]) == [], "who only listens sends nothing"
    report = there.report(REPORT_S)
    assert report is not None
    (told,) = parse_rtcp(report)
    assert isinstance(told, ReceiverReport)
    assert [block.ssrc for block in told.blocks] == [7]
    assert there.report(REPORT_S + 0.1) is None


def test_reports_of_the_peer_reach_the_sender() -> None:
    ours = AudioSender(7, 111, "us", rate_hz=16_000)
    audio = CallAudio(AudioReceiver(111), ours, 7, "us")
    block = ReportBlock(7, 128, 5, 10, 0, 0, 0)
    audio.told(build_receiver_report(ReceiverReport(9, (block,))), 1.0)
    assert ours.loss == 0.5
    audio.told(b"\x80\xc9\xff\xff", 1.0)
    assert audio.receiver.counts.malformed == 1
    CallAudio(AudioReceiver(111), None, 7, "us").told(b"", 1.0)
    report = audio.report(5.0)
    assert report is not None
    assert isinstance(parse_rtcp(report)[0], SenderReport)
