"""The two directions of a call's audio, joined to its conversation and to its peer: plain calls, no state of their own
but who they talk to."""

from collections.abc import Callable
from typing import Final

from gateway.conversation import Conversation
from gateway.webrtc.receiver import AudioReceiver
from gateway.webrtc.rtcp import ReceiverReport, build_cname, build_receiver_report
from gateway.webrtc.sender import AudioSender

OUTPUT_RATE_HZ: Final = 16_000
"""Of the agent's voice: wideband, as the answer asks of the caller."""
REPORT_S: Final = 2.0
"""Between our reports; RFC 3550 section 6.2 allows one in 5 s on average, AVPF (RFC 4585) more often. A browser shows
round trip and loss from them, and we adapt the bit rate by its own."""


class CallAudio:
    """One call's audio."""

    def __init__(self, receiver: AudioReceiver, sender: AudioSender | None, ssrc: int, cname: str) -> None:
        """``sender`` None: the caller only sends. Then the agent's voice is taken on the clock and goes nowhere."""
        self.receiver = receiver
        self._sender = sender
        self._ssrc = ssrc
        self._cname = build_cname(ssrc, cname)
        self._reported_s = 0.0

    def heard(self, packet: bytes, conversation: Conversation | None, now_s: float) -> None:
        """One decrypted RTP packet."""
        self.receiver.receive(packet, now_s)
        self.listen(conversation, now_s)

    def listen(self, conversation: Conversation | None, now_s: float) -> None:
        """Push the frames that are due. Without a conversation they are lost."""
        for frame in self.receiver.take(now_s):
            if conversation is not None:
                conversation.push_audio(frame)

    def speak(self, conversation: Conversation | None, send: Callable[[bytes], None], now_s: float) -> None:
        """Take what is to be heard and send it, or silence."""
        frame = conversation.take_frames() if conversation is not None else None
        if self._sender is not None:
            packet = self._sender.send(frame, now_s)
            if packet is not None:  # else the stream is ahead of the clock
                send(packet)

    def told(self, packet: bytes, now_s: float) -> None:
        """One decrypted RTCP packet."""
        for block in self.receiver.rtcp(packet, now_s):
            if self._sender is not None:
                self._sender.received(block, now_s)

    def report(self, now_s: float) -> bytes | None:
        """The RTCP packet that is due, if one is."""
        if now_s - self._reported_s < REPORT_S:
            return None
        self._reported_s = now_s
        block = self.receiver.report(now_s)
        blocks = () if block is None else (block,)
        if self._sender is not None:
            return self._sender.sender_report(now_s, blocks)
        return build_receiver_report(ReceiverReport(self._ssrc, blocks)) + self._cname
