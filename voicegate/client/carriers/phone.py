"""A person on the phone: a simulated carrier calls a gateway, the person speaks, and hears what the carrier plays.

What a tape of such a call has in the agent's channel is what was *played* at the caller's ear, sample by sample: what
the carrier buffered and threw away is not on it::

    async with PhoneCall(PhoneTarget("twilio", "ws://127.0.0.1:8000", secret="…")) as call:
        await call.greeting_over()
        utterance = await call.speak(samples)
        await call.reply_over(utterance)
        Path("call.wav").write_bytes(call.tape.wav())
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp

from voicegate.client.carriers.dialling import CallEnded, Stream, dial, follow
from voicegate.client.carriers.leg import Leg, Message
from voicegate.client.carriers.target import PhoneTarget
from voicegate.client.connection import CallFailed, GatewayUnreachable
from voicegate.client.microphone import Microphone, Utterance
from voicegate.client.record import CallRecord
from voicegate.client.tape import Tape
from voicegate.client.waiting import Waiting
from voicegate.kernel.audio import FRAME_MS, Samples
from voicegate.kernel.clock import Clock, SystemClock

_FRAME_S = FRAME_MS / 1000
_GREETING_S = 6.0
"""Longest wait for an agent that may or may not speak first."""
QUIET_S = 1.2
"""Silence after the agent's last sample that means its reply is over: a carrier tells nothing else."""
UNANSWERED_S = 8.0
"""Silence after an utterance that means no reply will come."""
_FAREWELL_S = 12.0
_RETRY_S = 0.25
REDIAL_S = 15.0
"""How long a carrier tries to reach a webhook; real ones try once or a few times, a proxy before the gateway longer."""


class PhoneCall:
    """One call. Enter it to dial; leaving it hangs up.

    Entering raises :class:`~voicegate.client.connection.CallFailed`. A call that breaks later raises it from whatever
    waits.
    """

    def __init__(self, target: PhoneTarget, *, clock: Clock | None = None) -> None:
        self.target = target
        self.facts = target.facts()
        self.record = CallRecord()
        """Always empty: a carrier is told no events."""
        self.lateness_s: list[float] = []
        """How late each frame was after its moment on the 20 ms clock."""
        self.agent_packets: list[tuple[float, Samples]] = []
        """Every frame that was played, with its moment in seconds from the origin."""
        self.failure: str | None = None
        """Why the call is over; None while it goes on."""
        self.streams = 0
        """Times the carrier opened a stream for this call."""
        self.longest_away_s = 0.0
        """Without a stream, between two of them."""
        self._clock = clock or SystemClock()
        self._waiting = Waiting()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self._mouth = asyncio.Lock()
        self._stream: Stream | None = None
        self._outbox: asyncio.Queue[tuple[float, Stream, Message | None]] = asyncio.Queue()
        self._inbox: deque[tuple[Leg, Message]] = deque()
        self._leaving = False

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            self._stream = await dial(self._http, self.target, self.facts, self._clock)
            self.rate_hz, self.facts = self._stream.leg.rate_hz, self._stream.facts
            self.origin, self.utc_origin = self._clock.monotonic(), self._clock.utc()
            self.tape = Tape(self.rate_hz, self.origin, jitter_ms=0.0)
            self._microphone = Microphone(self.rate_hz)
            await self._group.__aenter__()
        except BaseException:
            await self._http.close()
            raise
        for work in (self._carry(), self._tick(), self._send()):
            self._tasks.append(self._group.create_task(work))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            # Without the body's error: the group would wrap it, and who waits for CallFailed would not know it.
            await self._group.__aexit__(None, None, None)
        finally:
            if self._stream is not None:
                await self._stream.line.close()
            await self._http.close()

    # --- what a caller does ---

    @property
    def now_s(self) -> float:
        """Seconds since the call's origin."""
        return self._clock.monotonic() - self.origin

    @property
    def leg(self) -> Leg:
        """The carrier's side of the running stream.

        Raises:
            CallFailed: there is none.
        """
        if self._stream is None:
            raise CallFailed(self.failure or "no stream is open")
        return self._stream.leg

    @property
    def dropped(self) -> Counter[str]:
        """What the gateway sent in vain."""
        return self._stream.leg.dropped if self._stream else Counter()

    async def greeting_over(self) -> None:
        """Wait until the agent has said what it says first. Returns after some seconds when it says nothing."""
        if await self.until(lambda: self.tape.agent_end > 0, _GREETING_S):
            await self.quiet()

    async def quiet(self) -> None:
        """Wait until the agent has said nothing for a while."""
        await self.until(lambda: self._quiet_s(0) >= QUIET_S, 60.0)

    async def speak(self, samples: Samples) -> Utterance:
        """Say ``samples`` (mono int16 at :attr:`rate_hz`) in real time; returns when the last of them was said."""
        async with self._mouth:
            utterance = self._microphone.say(samples)
            await self.until(lambda: utterance.spoken, samples.size / self.rate_hz + 30.0)
            return utterance

    def start_speaking(self, samples: Samples) -> Utterance:
        """Say ``samples`` from the next frame on, without waiting."""
        return self._microphone.say(samples)

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self._post(self.leg.press(key))

    async def reply_over(self, utterance: Utterance, *, timeout_s: float = 60.0) -> bool:
        """Wait until the answer to ``utterance`` was played to its end, or so long that none will come.

        Returns False when neither happened within ``timeout_s``.
        """
        return await self.until(lambda: self._rest(utterance.end), timeout_s)

    async def wait_s(self, seconds: float) -> None:
        """Stay silent, on the call's own clock."""
        until = self._clock.monotonic() + seconds
        await self.until(lambda: self._clock.monotonic() >= until, seconds + 5.0)

    async def hang_up(self) -> None:
        """End the call as the carrier does when its caller hangs up."""
        if self.failure is None and self._stream is not None:
            self._leaving = True
            self._post(self._stream.leg.hang_up())
            await self.until(lambda: self.failure is not None, _FAREWELL_S, broken=False)

    def cut(self) -> None:
        """Lose the line, as a network does. What the carrier does then is its own affair."""
        if self._stream is not None:
            self._stream.line.cut()

    async def until(self, holds: Callable[[], bool], timeout_s: float, *, broken: bool = True) -> bool:
        """Wait until ``holds`` (asked every 20 ms); False after ``timeout_s``.

        Raises:
            CallFailed: the call is over (unless ``broken`` is False).
        """
        held = self.failure is not None or await self._waiting.until(holds, timeout_s)
        if held and broken and self.failure is not None and not holds():
            raise CallFailed(self.failure)
        return held and (self.failure is None or holds())

    # --- the carrier ---

    async def _carry(self) -> None:
        """Take messages; when a stream ends, do what this carrier does then."""
        stream = self._stream
        while stream is not None:
            self.streams += 1
            self._post(stream.leg.begin())
            loop = asyncio.get_running_loop()
            async for message in stream.line.messages():
                self._inbox.append((stream.leg, message))
                loop.call_later(self.target.network_ms / 1000, self._take)
            self._stream = None
            await stream.line.close()
            why, since = stream.leg.over or stream.line.ended, self._clock.monotonic()
            stream = self._stream = None if self._leaving or not stream.action else await self._follow(stream, why)
            if stream is None:
                self.failure = self.failure or why
            else:
                self.longest_away_s = max(self.longest_away_s, self._clock.monotonic() - since)
        self._waiting.ask(broken=True)

    async def _follow(self, stream: Stream, why: str) -> Stream | None:
        """Ask the action of a stream that is over; None ends the call."""
        until = self._clock.monotonic() + REDIAL_S
        while True:
            try:
                return await follow(self._http, self.target, self.facts, stream.action, self._clock)
            except GatewayUnreachable as error:
                if self._clock.monotonic() > until:
                    self.failure = f"{why}; then {error}"
                    return None
                await asyncio.sleep(_RETRY_S)
            except CallEnded as error:
                self.failure = str(error)
                return None
            except CallFailed as error:
                self.failure = f"{why}; then {error}"
                return None

    def _take(self) -> None:
        """A message has come through the network."""
        leg, message = self._inbox.popleft()
        if self._stream is not None and leg is self._stream.leg and not leg.over:
            self._post(leg.receive(message))

    async def _tick(self) -> None:
        """20 ms of the call after another; deadlines are absolute, so a late one does not delay those after it."""
        count = 0
        while self.failure is None:
            count += 1
            deadline = self.origin + count * _FRAME_S
            await asyncio.sleep(
                max(0.0, deadline - self._clock.monotonic())
            )  # a late one lets messages in all the same
            self.lateness_s.append(self._clock.monotonic() - deadline)
            self._one_tick(deadline)
            self._waiting.ask(broken=self.failure is not None)

    def _one_tick(self, deadline: float) -> None:
        frame, utterance = self._microphone.next_frame()
        start = self.tape.put_caller(deadline, frame)
        if utterance is not None:
            utterance.start = start if utterance.start is None else utterance.start
            utterance.frames_left -= 1
        if self._stream is None or self._stream.leg.over:
            return
        tick = self._stream.leg.tick(frame)
        if tick.played is not None:
            self.tape.put_agent(deadline, tick.played)
            self.agent_packets.append((deadline - self.origin, tick.played))
        self._post(tick.messages)

    def _post(self, messages: list[Message]) -> None:
        """Messages to the gateway, and the close after the last one."""
        stream = self._stream
        if stream is None:
            return
        due = self._clock.monotonic() + self.target.network_ms / 1000
        for message in messages:
            self._outbox.put_nowait((due, stream, message))
        if stream.leg.over:
            self._outbox.put_nowait((due, stream, None))

    async def _send(self) -> None:
        while True:
            due, stream, message = await self._outbox.get()
            ahead = due - self._clock.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if message is None:
                await stream.line.close()
            else:
                await stream.line.send(message)

    # --- waiting ---

    def _quiet_s(self, since: int) -> float:
        """Seconds of silence at the caller's ear since sample ``since``, or since the agent's last one if later."""
        if self.tape.playing(self._clock.monotonic()):
            return 0.0
        return self.now_s - self.tape.time_s(max(since, self.tape.agent_end))

    def _rest(self, since: int) -> bool:
        """Whether the conversation rests, given that the caller's last utterance ended at position ``since``."""
        return self._quiet_s(since) >= (QUIET_S if self.tape.agent_end > since else UNANSWERED_S)
