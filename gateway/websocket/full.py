"""Driver of the full profile ``voice.v1``: performs what the protocol commands, sends events and audio."""

import asyncio
from collections.abc import Callable
from typing import Final

import numpy as np

from audiocodecs.registry import StreamDecoder, StreamEncoder, open_decoder, open_encoder
from gateway.admission import Pass
from gateway.close_codes import CloseCode
from gateway.conversation import CallRequest, Calls, Conversation
from gateway.conversation import Resume as ResumeClaim
from gateway.intake import Intake
from gateway.websocket.commands import (
    Audio,
    Begin,
    CancelReply,
    Close,
    Command,
    EndUtterance,
    HangUp,
    PressKeys,
    Refuse,
    Resume,
    Send,
    TypeText,
)
from gateway.websocket.ending import Ending, Exit, Farewell, MustClose
from gateway.websocket.frames import FrameFeed
from gateway.websocket.limits import InputMeter, SocketLimits
from gateway.websocket.link import BinaryMessage, Link, TextMessage
from gateway.websocket.messages import ConnectionNotice, Format, encode
from gateway.websocket.protocol import FullProtocol
from voicegate.kernel import events
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Frame, frame_samples
from voicegate.kernel.clock import Clock
from voicegate.kernel.ids import SessionId
from voicegate.kernel.telemetry import Telemetry

_CLEAN_CLOSES: Final = (1000, 1005)
"""Codes with which a client hangs up: normal, and none given. 1001 (the page is reloaded) keeps the call."""
_AT_ONCE_BYTES: Final = 4096
"""Larger messages (this is half a second of telephony) let the other calls have their turn."""
_MEASURED_FRAMES: Final = 4
"""Frames between two looks at what is unsent, as long as nothing is: asking the kernel costs as much as encoding."""
_LOOK_EVERY_S: Final = 0.1
"""How often a conversation that has nothing to say is asked, beside ``on_audio``."""
_NOTHING: Final = np.empty(0, np.int16)
_FRAME: Final = frame_samples(PIPELINE_RATE_HZ)


class FullDriver:
    """One connection in the full profile (see :class:`gateway.websocket.carry.Driver`). ``hold`` is told of the
    attachment (:meth:`gateway.parts.Connections.hold`)."""

    def __init__(
        self,
        link: Link,
        calls: Calls,
        granted: Pass,
        leaving: Exit,
        *,
        hold: Callable[[str, Exit], None],
        limits: SocketLimits,
        clock: Clock,
        telemetry: Telemetry,
        intake: Intake,
    ) -> None:
        self._link = link
        self._calls = calls
        self._granted = granted
        self._leaving = leaving
        self._hold = hold
        self._limits = limits
        self._clock = clock
        self._telemetry = telemetry
        self._intake = intake
        self._hear_frame: Callable[[Frame, float], None] = self._heard
        self._pauses = telemetry.counter("voicegate_gateway_playout_pauses_total", "Playout paused for a slow reader")
        self._meter = InputMeter(limits, clock.monotonic())
        self._protocol = FullProtocol()
        self._attached = asyncio.Event()
        self._conversation: Conversation | None = None
        self._decoder: StreamDecoder = open_decoder("pcm16", PIPELINE_RATE_HZ)
        self._encoder: StreamEncoder = open_encoder("pcm16", PIPELINE_RATE_HZ)
        self._feed: FrameFeed | None = None
        self._paused = False
        self._unmeasured = 0
        self._hurry: Callable[[], None] = _wait_for_the_tick

    @property
    def begun(self) -> bool:
        return self._conversation is not None

    def take(self, message: str | bytes) -> bool:
        """Audio of a running call, straight from the socket (:meth:`gateway.websocket.link.Link.offer_to`)."""
        if self._leaving.decided:
            return True
        feed = self._feed
        if feed is None or message.__class__ is not bytes or len(message) > _AT_ONCE_BYTES:
            return False
        try:
            if self._intake.add(self._decoder, message, self._hear_frame):
                self._meter.streamed(len(message), _FRAME, self._clock.monotonic())
            else:
                samples = self._decoder.push(message) if message else _NOTHING
                self._meter.streamed(len(message), samples.size, self._clock.monotonic())
                feed.push_now(samples)
        except Exception as error:
            self._leaving.fail(error)
        return True

    def _heard(self, frame: Frame, _power: float) -> None:
        if self._feed is not None and not self._leaving.decided:
            try:
                self._feed.push_now(frame)
            except Exception as error:
                self._leaving.fail(error)

    async def receive(self, message: TextMessage | BinaryMessage) -> None:
        self._intake.settle()  # what came before comes first
        now = self._clock.monotonic()
        match message:
            case TextMessage(text=text):
                self._meter.message(len(text), now)
                commands = self._protocol.receive_text(text)
            case BinaryMessage(data=data):
                self._meter.message(len(data), now)
                commands = self._protocol.receive_binary(data)
        for command in commands:
            await self._perform(command)

    def seated(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._link.offer_to(self.take)

    def tick(self) -> float:
        if self._conversation is None or not self._reader_keeps_up():
            return 0.0
        frame = self._conversation.take_frames()
        if frame is None:
            return self._clock.monotonic() + _LOOK_EVERY_S
        for packet in self._encoder.push(frame):
            self._link.send_audio(packet, FRAME_MS)
        return 0.0

    def goodbye(self, code: int) -> Ending:
        farewell: Farewell = "hang_up" if code in _CLEAN_CLOSES else "detach"
        return Ending(CloseCode.NORMAL, f"client closed with {code}", farewell, peer_gone=True)

    def lost(self, reason: str) -> Ending:
        return Ending(CloseCode.GOING_AWAY, reason, "detach", peer_gone=True)

    def part(self, ending: Ending) -> None:
        self._hear_frame = _deaf  # free at once, without the collector
        if self._conversation is None:
            return
        match ending.farewell:
            case "hang_up":
                self._conversation.hang_up(ending.hang_up_reason)
            case "detach":
                self._conversation.detach()
            case "none":
                pass

    async def farewell(self, ending: Ending) -> None:
        """The close says it."""

    async def ended(self) -> str:
        await self._attached.wait()
        assert self._conversation is not None
        return await self._conversation.ended()

    async def _perform(self, command: Command) -> None:
        match command:
            case Begin():
                await self._begin(command)
            case Resume():
                await self._resume(command)
            case Audio(data=data):
                await self._hear(data)
            case Send(data=data):
                self._link.send_text(data)
            case Refuse(code=code, data=data):
                self._telemetry.counter("voicegate_gateway_bad_messages_total", "Refused messages", code=code).inc()
                self._link.send_text(data)
            case Close(code=code, reason=reason):
                raise MustClose(Ending(code, reason, "detach"))
            case HangUp():
                raise MustClose(Ending(CloseCode.NORMAL, "session.end", "hang_up"))
            case _:
                await self._instruct(command)

    async def _instruct(self, command: EndUtterance | TypeText | PressKeys | CancelReply) -> None:
        assert self._conversation is not None, "the protocol gives these only after it was joined"
        assert self._feed is not None
        match command:
            case EndUtterance():
                await self._feed.push(self._decoder.flush())
                await self._feed.end_utterance()
            case TypeText(text=text):
                self._conversation.type_text(text)
            case PressKeys(digits=digits):
                for digit in digits:
                    self._conversation.press_key(digit)
            case CancelReply():
                self._conversation.interrupt()

    async def _begin(self, command: Begin) -> None:
        only = self._granted.agent
        if only and command.agent not in ("", only):
            raise MustClose(Ending(CloseCode.FORBIDDEN, f"the token is for the agent {only!r}", "none"))
        request = CallRequest(
            SessionId(self._granted.session_id),
            "voice-full",
            command.output.rate,
            greeting=command.greeting,
            agent=only or command.agent,
            input_format=_name(command.input),
            output_format=_name(command.output),
            context=command.context,
        )
        await self._join(request, command.input, command.output, after_seq=0)

    async def _resume(self, command: Resume) -> None:
        request = CallRequest(
            SessionId(self._granted.session_id),
            "voice-full",
            command.output.rate,
            agent=self._granted.agent,
            input_format=_name(command.input),
            output_format=_name(command.output),
            resume=ResumeClaim(command.secret, command.last_seq),
        )
        await self._join(request, command.input, command.output, after_seq=command.last_seq)

    async def _join(self, request: CallRequest, heard: Format, spoken: Format, *, after_seq: int) -> None:
        self._decoder = open_decoder(heard.encoding, heard.rate)
        self._encoder = open_encoder(spoken.encoding, spoken.rate)
        conversation = await self._calls.attach(request)
        self._hold(conversation.session_id, self._leaving)
        self._feed = FrameFeed(conversation, resampled=heard.rate != PIPELINE_RATE_HZ)
        self._conversation = conversation
        conversation.on_audio(self._hurry)
        self._attached.set()
        for command in self._protocol.joined(
            session_id=conversation.session_id, resume_secret=conversation.resume_secret, resumed=conversation.resumed
        ):
            await self._perform(command)
        for event in conversation.subscribe(self._deliver, after_seq):
            self._deliver(event)

    async def _hear(self, data: bytes) -> None:
        samples = self._decoder.push(data)
        self._meter.audio(samples.size / PIPELINE_RATE_HZ, self._clock.monotonic(), upload=False)
        assert self._feed is not None, "the protocol gives audio only after it was joined"
        await self._feed.push(samples)

    def _deliver(self, event: events.Event) -> None:
        self._link.send_text(events.encode(event))

    def _reader_keeps_up(self) -> bool:
        """Whether the client may get more audio now; pauses and resumes playout, and gives up on a stuck client."""
        if not self._paused:
            if self._link.idle:
                return True
            if self._unmeasured < _MEASURED_FRAMES:
                self._unmeasured += 1
                return True
        waiting_ms = self._link.unsent_audio_ms()
        self._unmeasured = _MEASURED_FRAMES if waiting_ms else 0
        if self._link.stuck_s() >= self._limits.stuck_s or self._link.unsent_bytes() > self._limits.unsent_bytes:
            self._leaving.leave(Ending(CloseCode.TOO_SLOW, "nothing was read for several seconds", "detach"))
            return False
        # Half the limit before going on, so that a reader at the edge does not flutter.
        limit = self._limits.unsent_audio_ms * (0.5 if self._paused else 1.0)
        if (waiting_ms >= limit) != self._paused:
            self._paused = not self._paused
            self._tell_pause()
        return not self._paused

    def _tell_pause(self) -> None:
        if self._paused:
            self._pauses.inc()
            notice = ConnectionNotice("playout_paused", "the client reads too slowly; the agent's speech waits")
        else:
            notice = ConnectionNotice("playout_resumed", "the client reads again")
        self._link.send_text(encode(notice))


def _name(form: Format) -> str:
    return f"{form.encoding}/{form.rate}"


def _deaf(_frame: Frame, _power: float) -> None:
    """The connection is over."""


def _wait_for_the_tick() -> None:
    """Nobody keeps time yet."""
