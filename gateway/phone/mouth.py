"""The way out to a carrier: frames from the conversation to packets, ahead of the ear where the carrier buffers.

Plain calls only, with time as an argument.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from audiocodecs.registry import PlainEncoder, StreamEncoder, open_encoder
from gateway.conversation import Conversation
from gateway.phone.ear import AHEAD_MS, Ear
from gateway.phone.echo import EchoGate
from gateway.phone.messages import PhoneFormat, Send
from gateway.phone.protocol import PhoneProtocol
from voicegate.kernel.audio import FRAME_MS, Samples, frame_samples

_FLUSH_AFTER_S: Final = 0.04
"""A packet that must be padded waits this long for the voice to go on."""
_SPARE_MS: Final = 100
"""Jitter that a line may have where packets are long: five ticks."""
_CLEAR_S: Final = 0.1
"""What is played until a clear has arrived may come back as echo too."""
_LOOK_EVERY_S: Final = 0.1
"""How often a conversation that has nothing to say is asked, beside :meth:`Mouth.wake`."""
_STILL_PLAYING_S: Final = 1.0
"""A peer may be this much later than our account of it: within it a stop is also told where all seems to be heard."""


class Mouth:
    """One connection's playout. ``send`` performs what the protocol says, in order."""

    def __init__(
        self,
        conversation: Conversation,
        protocol: PhoneProtocol,
        spoken: PhoneFormat,
        send: Callable[[Sequence[Send]], None],
        echo: EchoGate | None = None,
    ) -> None:
        traits = protocol.traits
        self._conversation = conversation
        self._protocol = protocol
        self._traits = traits
        self._send = send
        self._echo = echo
        self._encode = _packets_of(open_encoder(spoken.encoding, spoken.rate_hz))
        self._rate_hz = spoken.rate_hz
        self._frame = frame_samples(spoken.rate_hz)
        self._packet = traits.packet_ms // FRAME_MS * self._frame
        self._least = traits.least_ms // FRAME_MS * self._frame
        # A peer that takes long packets only must have the next one some time before the last is over.
        ahead_ms = max(AHEAD_MS, traits.packet_ms + _SPARE_MS)
        self.ear = Ear(spoken.rate_hz, has_marks=traits.has_marks, ahead_ms=ahead_ms)
        self._pending: list[Samples] = []
        self._pending_samples = 0
        self._pending_since = 0.0
        self._last_sent = -_STILL_PLAYING_S
        self.rests_until = 0.0
        """A :meth:`tick` before does nothing: the peer has enough, or there is nothing to say and nothing to hear."""
        self.clears = 0

    def wake(self) -> None:
        """There is audio after silence."""
        self.rests_until = 0.0

    def tick(self, now: float, *, may_play: bool) -> None:
        """20 ms passed, or there is audio after silence."""
        if now < self.rests_until:
            return
        if self._traits.buffers:
            self._credit(now)
        if not may_play:
            return
        speaks = self._fill(now) if self._traits.buffers else self._take(now, 1)
        self._flush_late(now)
        if not speaks and not self._pending and not self.ear.waiting:
            self.rests_until = now + _LOOK_EVERY_S

    def stop(self, now: float) -> None:
        """The agent's speech stops: say what was heard, and make the peer drop the rest."""
        self._forget()
        self.rests_until = 0.0
        playing = self.ear.waiting or now - self._last_sent < _STILL_PLAYING_S
        self._credit(now)
        if not self._traits.has_clear:  # what is on its way will be heard
            self.ear.settle()
            self._credit(now)
        elif playing:
            self.ear.cleared()
            self._send(self._protocol.clear())
            self._last_sent = now - _STILL_PLAYING_S
            if self._echo is not None:
                self._echo.stopped(now + _CLEAR_S)
            self.clears += 1

    def part(self, now: float) -> None:
        """The connection is over: what was heard by now was heard."""
        self._forget()
        if self._traits.buffers:
            self._credit(now)

    def _credit(self, now: float) -> None:
        if fresh := self.ear.news(now):
            self._conversation.frames_played(fresh)

    def _forget(self) -> None:
        self._pending, self._pending_samples = [], 0

    def _fill(self, now: float) -> bool:
        """Packets as long as there is room for whole ones, then rest until there is again. False: there is nothing more
        to say now."""
        while self.ear.room(now) >= self._packet:
            while self._take(now, (self._packet - self._pending_samples) // self._frame):
                if not self._pending:
                    break  # a packet has left
            else:
                return False
        self.rests_until = self.ear.room_at(self._packet)
        return True

    def _take(self, now: float, most: int) -> bool:
        """At most ``most`` frames; a packet that is whole leaves."""
        frames = self._conversation.take_frames(most)
        if frames is None:
            if self._pending and self._pending_samples >= self._least:
                self._send_packet(now, ends=True)
            elif not self._pending:
                self._send(self._mark(ends=True))
            return False
        if not self._pending:
            self._pending_since = now
        self._pending.append(frames)
        self._pending_samples += frames.size
        ends = self._traits.buffers and self._conversation.at_phrase_end
        if self._pending_samples >= self._packet or (ends and self._pending_samples >= self._least):
            self._send_packet(now, ends=ends)
        return True

    def _mark(self, *, ends: bool) -> Sequence[Send]:
        """A mark behind what was sent, where one is due; ``ends``: a phrase does, or there is nothing more for now."""
        name = self.ear.mark(now_or_never=ends) if self._traits.buffers else None
        return self._protocol.mark(name) if name else ()

    def _flush_late(self, now: float) -> None:
        """What is too short for this peer goes out padded with silence."""
        patience_s = _FLUSH_AFTER_S + self._pending_samples / self._rate_hz
        if self._pending and now - self._pending_since >= patience_s:
            self._send_packet(now, ends=False)

    def _send_packet(self, now: float, *, ends: bool) -> None:
        pending, padding = self._pending, max(0, self._least - self._pending_samples)
        self._forget()
        if padding:
            pending.append(np.zeros(padding, np.int16))
        samples = np.concatenate(pending) if len(pending) > 1 else pending[0]
        if self._echo is not None:
            self._echo.said(samples.reshape(-1, self._frame), self.ear.plays_at(now) if self._traits.buffers else now)
        payload = self._encode(samples)
        self._last_sent = now
        if self._traits.buffers:
            self.ear.sent(samples.size, now, padding=padding)
        self._send((*self._protocol.play(payload), *self._mark(ends=ends)))


def _packets_of(encoder: StreamEncoder) -> Callable[[Samples], bytes]:
    """What makes the payload of one packet out of whole frames."""
    if isinstance(encoder, PlainEncoder):
        return encoder.whole
    return lambda frames: b"".join(encoder.push(frames))
