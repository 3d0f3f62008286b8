"""The one driver of all phone connections: performs what a carrier's protocol says.

It satisfies :class:`gateway.websocket.carry.Driver`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.close_codes import CloseCode
from gateway.conversation import Conversation
from gateway.intake import Intake
from gateway.phone.echo import EchoGate
from gateway.phone.hearing import Hearing
from gateway.phone.lines import PhoneLines
from gateway.phone.messages import (
    Audio,
    Began,
    Cleared,
    Drained,
    Ended,
    Ignored,
    KeyPressed,
    MarkReturned,
    PeerPaused,
    PeerResumed,
    PhoneCall,
    ProtocolViolation,
    Send,
    SendBinary,
    SendText,
    Step,
)
from gateway.phone.mouth import Mouth
from gateway.phone.protocol import PhoneProtocol
from gateway.phone.reception import Reception, Standing
from gateway.phone.wire import Wire
from gateway.problems import PASSING
from gateway.websocket.ending import Ending, Exit, Farewell, MustClose
from gateway.websocket.limits import InputMeter, SocketLimits
from gateway.websocket.link import BinaryMessage, Goodbye, Lost, TextMessage
from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.telemetry import Telemetry

_AT_ONCE: Final = 8192
"""Longer messages (this is 0.7 s of mu-law in JSON) let the other calls have their turn."""
_MOST_UNSENT_BYTES: Final = 32 * 1024
"""What may wait for a carrier that does not read: two seconds of mu-law in JSON. Above it playout waits."""
_MEASURED_PACKETS: Final = 3
"""Times between two looks at what is unsent: asking the kernel costs as much as sending, and a packet is small beside
the limit."""
_BAD_PAYLOADS: Final = frozenset({"not_json", "bad_base64", "bad_audio", "wrong_kind"})

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Line:
    """What there is once the call has begun."""

    conversation: Conversation
    hearing: Hearing
    mouth: Mouth
    echo: EchoGate | None
    call: PhoneCall


class PhoneDriver:
    """One connection. ``hold`` is told of the attachment (:meth:`gateway.parts.Connections.hold`)."""

    def __init__(
        self,
        wire: Wire,
        protocol: PhoneProtocol,
        reception: Reception,
        standing: Standing,
        leaving: Exit,
        *,
        provider: str,
        lines: PhoneLines,
        hold: Callable[[str, Exit], None],
        limits: SocketLimits,
        clock: Clock,
        telemetry: Telemetry,
        intake: Intake,
    ) -> None:
        self._wire, self._protocol, self._leaving = wire, protocol, leaving
        self._reception, self._standing, self._lines = reception, standing, lines
        self._provider, self._hold, self._limits = provider, hold, limits
        self._now = clock.monotonic
        self._telemetry = telemetry
        self._intake = intake
        self._meter = InputMeter(limits, self._now())
        self._attached = asyncio.Event()
        self._line: _Line | None = None
        self._paused_until = 0.0
        self._unmeasured = 0
        self._over = ""
        self.hung_up = False
        """We ended the call, and the carrier has not said that it knows."""
        self._hurry: Callable[[], None] = _wait_for_the_tick

    @property
    def call(self) -> PhoneCall:
        """Once it has begun."""
        assert self._line is not None
        return self._line.call

    def press_keys(self, digits: str) -> bool:
        self._send(self._protocol.press_keys(digits))
        return self._protocol.traits.has_keys

    def hang_up(self, reason: str) -> None:
        assert self._line is not None
        self._line.conversation.hang_up(reason)

    def let_go(self, reason: str) -> None:
        self._over = reason
        self.hang_up(reason)

    @property
    def begun(self) -> bool:
        return self._line is not None

    def seated(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._wire.offer_to(self.take)
        self._send(self._protocol.connected())

    def take(self, message: str | bytes) -> bool:
        """A message of a running call, straight from the socket (:meth:`gateway.websocket.link.Link.offer_to`)."""
        line = self._line
        if line is None or self._leaving.decided or len(message) > _AT_ONCE:
            return False
        now, samples = self._now(), 0
        try:
            for step in self._steps(message):
                if step.__class__ is Audio:
                    samples += line.hearing.hear_at_once(step, now)
                else:
                    self._perform(step)
            self._meter.streamed(len(message), samples, now)
        except Exception as error:
            self._leaving.fail(error)
        return True

    async def receive(self, message: TextMessage | BinaryMessage) -> None:
        self._intake.settle()  # what came before comes first
        content = message.text if isinstance(message, TextMessage) else message.data
        self._meter.message(len(content), self._now())
        for step in self._steps(content):
            match step:
                case Began():
                    await self._begin(step)
                case Audio() if self._line is not None:
                    samples = await self._line.hearing.hear(step)
                    self._meter.audio(samples / PIPELINE_RATE_HZ, self._now(), upload=False)
                case _:
                    self._perform(step)

    def tick(self) -> float:
        line = self._line
        if line is None:
            return 0.0
        now, mouth, missing = self._now(), line.mouth, line.hearing.missing
        if now >= missing.overdue_at:
            line.hearing.fill_overdue(now)
        if now >= mouth.rests_until:
            mouth.tick(now, may_play=now >= self._paused_until and self._reader_keeps_up())
        return min(mouth.rests_until, missing.overdue_at)

    def goodbye(self, code: int) -> Ending:
        return Ending(CloseCode.NORMAL, f"the carrier closed with {code}", self._farewell(), peer_gone=True)

    def lost(self, reason: str) -> Ending:
        return Ending(CloseCode.GOING_AWAY, reason, self._farewell(), peer_gone=True)

    def part(self, ending: Ending) -> None:
        if self._line is None:
            return
        if ending.farewell != "none":  # else the conversation is over, or another connection has it
            self._line.mouth.part(self._now())
        if self._line.echo is not None and self._line.echo.echoes:
            self._telemetry.counter(
                "voicegate_phone_echo_seconds_total", "Echo kept from the agent's ears", provider=self._provider
            ).inc(self._line.echo.echoes * FRAME_MS / 1000)
        match ending.farewell:
            case "hang_up":
                self._line.conversation.hang_up(self._over or ("caller" if ending.peer_gone else ending.hang_up_reason))
            case "detach":
                self._line.conversation.detach()
            case "none":
                pass

    def forget(self) -> None:
        """After everything else: the line and its call are free at once, without the collector."""
        if self._line is not None:
            self._line.hearing.close()
            self._line = None

    async def farewell(self, ending: Ending) -> None:
        if self._line is None:
            return
        if ending.farewell == "detach":
            await self._reception.wait(self._line.call)
        elif ending.code is CloseCode.NORMAL:
            await self._reception.release(self._line.call)
        if self._over:
            return
        self.hung_up = ending.farewell != "detach"
        self._send(self._protocol.hang_up(ending.reason))
        if patience := self._protocol.traits.farewell_s:
            with contextlib.suppress(TimeoutError, MustClose):
                async with asyncio.timeout(patience):
                    while not self._over:
                        self._listen_on(await self._wire.receive())

    async def ended(self) -> str:
        await self._attached.wait()
        assert self._line is not None
        return await self._line.conversation.ended()

    # --- what came in ---

    def _steps(self, message: str | bytes) -> Sequence[Step]:
        try:
            if isinstance(message, str):
                return self._protocol.receive_text(message)
            return self._protocol.receive_binary(message)
        except ProtocolViolation as violation:
            self._telemetry.counter(
                "voicegate_phone_violations_total",
                "Messages that ended a stream",
                provider=self._provider,
                code=violation.code,
            ).inc()
            self._send(violation.last_words)
            code = CloseCode.BAD_PAYLOAD if violation.code in _BAD_PAYLOADS else CloseCode.POLICY
            raise MustClose(Ending(code, f"{violation.code}: {violation}", self._farewell())) from None

    def _perform(self, step: Step) -> None:
        match step:
            case SendText() | SendBinary():
                self._send((step,))
            case Ignored(code=code):
                self._ignored(code)
            case Ended(reason=reason, resumable=resumable):
                self._over = self._over or reason
                raise MustClose(Ending(CloseCode.NORMAL, reason, "detach" if resumable else "hang_up"))
            case Began() | Audio():
                pass  # the first was dealt with, and before it there is nobody to hear
            case _ if self._line is not None:
                self._note(self._line, step)
            case _:
                pass

    def _note(
        self, line: _Line, step: KeyPressed | MarkReturned | Drained | Cleared | PeerPaused | PeerResumed
    ) -> None:
        match step:
            case KeyPressed(digit=digit):
                line.conversation.press_key(digit)
            case MarkReturned(name=name):
                if not line.mouth.ear.returned(name, self._now()):
                    self._ignored("void_mark")
            case Drained():
                line.mouth.ear.drained(self._now())
            case PeerPaused(bound_s=bound_s):
                self._paused_until = self._now() + bound_s
            case PeerResumed():
                self._paused_until = 0.0
            case Cleared():
                pass  # what was heard was settled when the clear was sent

    async def _begin(self, began: Began) -> None:
        try:
            conversation = await self._reception.join(began, self._standing, confirms=self._protocol.traits.buffers)
        except (RefusedCall, StateUnavailable) as refusal:
            self._send(self._protocol.refused(refusal.code))
            code = CloseCode.TRY_AGAIN if refusal.code in PASSING else CloseCode.POLICY
            raise MustClose(Ending(code, str(refusal), "none")) from refusal
        self._hold(conversation.session_id, self._leaving)
        heard, spoken = began.heard, began.spoken
        echo = EchoGate() if self._reception.echo_gate else None
        filled = self._telemetry.counter(
            "voicegate_phone_filled_seconds_total", "Silence put where audio was missing", provider=self._provider
        )
        self._line = line = _Line(
            conversation,
            Hearing(conversation, heard, echo, self._leaving, intake=self._intake, filled=filled, now=self._now),
            Mouth(conversation, self._protocol, spoken, self._send, echo),
            echo,
            began.call,
        )
        self._lines.add(conversation.session_id, self)
        self._attached.set()
        self._send(self._protocol.accepted())
        conversation.on_stop(lambda: self._stop(line.mouth))
        conversation.on_audio(lambda: self._wake(line.mouth))

    # --- what goes out ---

    def _wake(self, mouth: Mouth) -> None:
        mouth.wake()
        self._hurry()

    def _stop(self, mouth: Mouth) -> None:
        mouth.stop(self._now())
        self._hurry()

    def _send(self, sends: Sequence[Send]) -> None:
        texts: list[bytes] = []
        for send in sends:
            if isinstance(send, SendText):
                texts.append(send.data)
                continue
            if texts:
                self._wire.send_texts(texts)
                texts = []
            self._wire.send_audio(send.data, 0.0)
        if texts:
            self._wire.send_texts(texts)

    def _reader_keeps_up(self) -> bool:
        """Whether the carrier may get more; gives up on one that takes nothing."""
        if self._wire.idle or self._unmeasured < _MEASURED_PACKETS:
            self._unmeasured += 1
            return True
        self._unmeasured = 0
        self._wire.unsent_audio_ms()
        unsent = self._wire.unsent_bytes()
        if self._wire.stuck_s() >= self._limits.stuck_s:
            self._leaving.leave(Ending(CloseCode.TOO_SLOW, "nothing was read for several seconds", self._farewell()))
        return unsent <= _MOST_UNSENT_BYTES

    def _listen_on(self, received: TextMessage | BinaryMessage | Goodbye | Lost) -> None:
        """A message after our goodbye: only what answers it matters."""
        match received:
            case TextMessage(text=content) | BinaryMessage(data=content):
                self._meter.message(len(content), self._now())
                for step in self._steps(content):
                    match step:
                        case SendText() | SendBinary():
                            self._send((step,))
                        case Ended(reason=reason):
                            self._over = reason
                        case _:
                            pass
            case _:
                self._over = "closed"

    def _farewell(self) -> Farewell:
        """What becomes of the call when its connection breaks."""
        return "detach" if self._line is not None and self._protocol.traits.returns else "hang_up"

    def _ignored(self, code: str) -> None:
        self._telemetry.counter(
            "voicegate_phone_ignored_total", "Messages of carriers without effect", provider=self._provider, code=code
        ).inc()


def _wait_for_the_tick() -> None:
    """Nobody keeps time yet."""
