"""A caller over WebSocket or WebRTC: speaks sound files in real time, hears the agent, and keeps a tape of both.

Used by ``voicegate call``, by the benchmarks and by the end-to-end tests::

    async with CallClient(CallTarget("my-call")) as call:
        await call.greeting_over()
        utterance = await call.speak(samples)
        await call.reply_over(utterance)
        Path("call.wav").write_bytes(call.tape.wav())
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
import numpy as np

from audiocodecs.resample import resample_whole
from audiocodecs.wav import WavReader, encode_wav
from voicegate.client.connection import CallFailed, CallTarget, connect
from voicegate.client.formats import FORMATS
from voicegate.client.microphone import Microphone, Utterance
from voicegate.client.record import CallRecord
from voicegate.client.tape import Tape
from voicegate.client.waiting import Waiting
from voicegate.client.webrtc import WhipSocket, connect_whip
from voicegate.kernel.audio import FRAME_MS, Samples
from voicegate.kernel.clock import Clock, SystemClock
from voicegate.kernel.errors import AudioError
from voicegate.kernel.events import ReplyInterrupted, decode

_FRAME_S = FRAME_MS / 1000
_WELCOME_S = 10.0
_GREETING_S = 6.0
"""Longest wait for an agent that may or may not speak first."""
_UNHEARD_S = 1.5
"""After an utterance of which the gateway told nothing: it heard nobody."""
_COUGH_S = 4.0
"""After speech that led to no turn: it was none. Above the gateway's longest endpointing delay and wait for text."""
_CLIPS_QUIET_S = 1.5
"""Simple profile: silence after a clip that means the reply is over; nothing else tells."""


class CallClient:
    """One call. Enter it; leaving it hangs up.

    Entering raises :class:`~voicegate.client.connection.CallFailed`. A call that breaks later raises it from whatever
    waits.
    """

    def __init__(self, target: CallTarget, *, clock: Clock | None = None) -> None:
        self.target = target
        self.format = FORMATS[target.encoding if target.via == "ws" else "pcm16"]
        self.rate_hz = self.format.tape_rate_hz
        """Of the tape and of everything that is spoken."""
        self.record = CallRecord()
        self.welcome: dict[str, object] = {}
        self.answers: list[dict[str, object]] = []
        """Text messages that were no events."""
        self.lateness_s: list[float] = []
        """How late each frame left after its moment on the 20 ms clock."""
        self.agent_packets: list[tuple[float, Samples]] = []
        """Every piece of the agent's audio as it came, with its arrival in seconds from the origin."""
        self.failure: str | None = None
        self._clock = clock or SystemClock()
        self._microphone = Microphone(self.rate_hz)
        self._encoder = self.format.encoder()
        self._decoder = self.format.decoder()
        self._waiting = Waiting()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self._mouth = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            self._socket = await self._connect()
            self.origin = self._clock.monotonic()
            self.tape = Tape(self.rate_hz, self.origin, jitter_ms=self.target.jitter_ms)
            await self._group.__aenter__()
        except BaseException:
            await self._http.close()
            raise
        try:
            self._tasks.append(self._group.create_task(self._receive()))
            if self.target.via != "simple":
                await self._begin()
            self._tasks.append(self._group.create_task(self._tick()))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
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
            await self._socket.close()
            await self._http.close()

    # --- what a caller does ---

    @property
    def now_s(self) -> float:
        """Seconds since the call's origin."""
        return self._clock.monotonic() - self.origin

    async def greeting_over(self) -> None:
        """Wait until the agent has said what it says first. Returns after some seconds when it says nothing."""
        began = await self.until(lambda: self.tape.agent_end > 0 or self.record.replying, _GREETING_S)
        if began:
            await self.until(lambda: self._rest(0), 60.0)

    async def speak(self, samples: Samples) -> Utterance:
        """Say ``samples`` (mono int16 at :attr:`rate_hz`) in real time; returns when the last of them was sent."""
        async with self._mouth:
            if self.target.via == "simple":
                return await self._upload(samples)
            utterance = self._microphone.say(samples)
            await self.until(lambda: utterance.spoken, samples.size / self.rate_hz + 30.0)
            return utterance

    def start_speaking(self, samples: Samples) -> Utterance:
        """Say ``samples`` from the next frame on, without waiting (full profile only)."""
        return self._microphone.say(samples)

    async def reply_over(self, utterance: Utterance, *, timeout_s: float = 60.0) -> bool:
        """Wait until the answer to ``utterance`` was played to its end, or it is certain that none will come.

        Returns False when neither happened within ``timeout_s``.
        """
        return await self.until(lambda: self._rest(utterance.end), timeout_s)

    async def wait_s(self, seconds: float) -> None:
        """Stay silent, on the call's own clock."""
        until = self._clock.monotonic() + seconds
        await self.until(lambda: self._clock.monotonic() >= until, seconds + 5.0)

    async def command(self, name: str, **fields: object) -> None:
        """Send a text message of the full profile, such as ``text`` or ``reply.cancel``."""
        await self._socket.send_str(msgspec.json.encode({"type": name, **fields}).decode())

    async def hang_up(self) -> None:
        """End the call in order and take the last events."""
        if self.target.via != "simple" and self.failure is None:
            await self.command("session.end")
            await self.until(lambda: self._socket.closed, 5.0, broken=False)
        await self._socket.close()

    async def until(self, holds: Callable[[], bool], timeout_s: float, *, broken: bool = True) -> bool:
        """Wait until ``holds`` (asked after every text message and every 20 ms); False after ``timeout_s``.

        Raises:
            CallFailed: the call broke meanwhile (unless ``broken`` is False).
        """
        held = await self._waiting.until(holds, timeout_s)
        if held and broken and self.failure is not None and not holds():
            raise CallFailed(self.failure)
        return held

    # --- the socket ---

    async def _connect(self) -> aiohttp.ClientWebSocketResponse | WhipSocket:
        opened = connect_whip if self.target.via == "webrtc" else connect
        return await opened(self._http, self.target)

    async def _begin(self) -> None:
        if self.target.via == "webrtc":  # the POST has begun the call already
            await self._welcomed()
            return
        audio = {"input": self.format.as_json(), "output": self.format.as_json()}
        resume = self.target.resume
        if resume is not None:
            await self.command("session.resume", lastSeq=resume.last_seq, secret=resume.secret, **audio)
        else:
            extra = {"agent": self.target.agent, "greeting": self.target.greeting, "context": self.target.context}
            await self.command("session.start", **audio, **extra)
        await self._welcomed()

    async def _welcomed(self) -> None:
        if not await self.until(lambda: bool(self.welcome), _WELCOME_S):
            raise CallFailed(f"the gateway at {self.target.url} did not welcome the call within {_WELCOME_S:g} s")

    async def _receive(self) -> None:
        try:
            await self._take_messages()
        except (AudioError, msgspec.DecodeError) as error:
            self.failure = f"the gateway sent what no client understands: {error}"
        else:
            ended = f" ({self.record.ended})" if self.record.ended else ""
            self.failure = f"the gateway closed the call with code {self._socket.close_code}{ended}"
        self._wake()

    async def _take_messages(self) -> None:
        async for message in self._socket:
            now = self._clock.monotonic()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    self._take_text(message.data, now)
                    self._wake()
                case aiohttp.WSMsgType.BINARY:
                    self._take_audio(message.data, now)  # whoever waits is asked at the next tick
                case _:
                    break

    def _take_text(self, text: str, now: float) -> None:
        fields = msgspec.json.decode(text)
        if "seq" not in fields:  # only events of the call have one
            self.answers.append(fields)
            if fields.get("type") == "session.welcome":
                self.welcome = fields
            return
        event = decode(text)
        self.record.add(self.tape.position(now), event)
        if isinstance(event, ReplyInterrupted):
            self.tape.drop_agent_after(now)

    def _take_audio(self, data: bytes, now: float) -> None:
        samples = _clip(data, self.rate_hz) if self.target.via == "simple" else self._decoder.push(data)
        if samples.size:
            self.tape.put_agent(now, samples)
            self.agent_packets.append((now - self.origin, samples))

    async def _tick(self) -> None:
        """Send a frame every 20 ms; deadlines are absolute, so a late one does not delay those after it."""
        count = 0
        while self.failure is None:
            count += 1
            deadline = self.origin + count * _FRAME_S
            ahead = deadline - self._clock.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if self.target.via != "simple":
                await self._send_frame(deadline)
            self._wake()

    async def _send_frame(self, deadline: float) -> None:
        frame, utterance = self._microphone.next_frame()
        try:
            for packet in self._encoder.push(frame):
                await self._socket.send_bytes(packet)
        except ConnectionError:
            return  # the receiver tells why
        self.lateness_s.append(self._clock.monotonic() - deadline)
        start = self.tape.put_caller(deadline, frame)
        if utterance is not None:
            utterance.start = start if utterance.start is None else utterance.start
            utterance.frames_left -= 1

    async def _upload(self, samples: Samples) -> Utterance:
        """A recorder that sends a whole file: the caller speaks for as long as it lasts, then it goes out at once."""
        utterance = Utterance(samples)
        await self.wait_s(samples.size / self.rate_hz)
        sent = self._clock.monotonic()
        await self._socket.send_bytes(encode_wav(samples, self.rate_hz))
        utterance.start = self.tape.put_caller(sent, samples)
        return utterance

    # --- waiting ---

    def _rest(self, since: int) -> bool:
        """Whether the conversation rests, given that the caller's last utterance ended at position ``since``."""
        if self.tape.playing(self._clock.monotonic()):
            return False
        quiet_s = self.now_s - self.tape.time_s(max(since, self.tape.agent_end))
        if self.target.via == "simple":
            return self.tape.agent_end > since and quiet_s >= _CLIPS_QUIET_S
        if not self.record.at_rest:
            return False
        last = self.record.received[-1].position if self.record.received else 0
        calm_s = self.now_s - self.tape.time_s(max(last, since))
        if self.record.unanswered_speech:
            return calm_s >= _COUGH_S
        return self.tape.agent_end > since or calm_s >= _UNHEARD_S

    def _wake(self) -> None:
        self._waiting.ask(broken=self.failure is not None)


def _clip(data: bytes, rate_hz: int) -> Samples:
    """A WAV file of the gateway as mono int16 at ``rate_hz``."""
    reader = WavReader()
    samples = reader.push(data)
    if reader.format is None:
        raise AudioError("the gateway sent a clip that is not WAV")
    return resample_whole(np.ascontiguousarray(samples), reader.format.rate_hz, rate_hz)
