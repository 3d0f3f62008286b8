"""A real server on a free port, and calls kept in memory whose agent echoes what it hears."""

import asyncio
import io
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import structlog
import uvloop
from blockbuster import blockbuster_ctx
from prometheus_client import CollectorRegistry

from audiocodecs.resample import resample_whole
from gateway.config import GatewayConfig
from gateway.conversation import CallRequest, Clip
from gateway.health import HealthCheck
from gateway.parts import build_parts
from gateway.server import RunningGateway, build_application, serve
from gateway.webrtc.config import WebRtcConfig
from gateway.webrtc.whip import WhipDoor
from voicegate.kernel import events
from voicegate.kernel.audio import Frame, Samples, frame_samples
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import RefusedCall
from voicegate.kernel.events import Event
from voicegate.kernel.ids import SessionId, TurnId
from voicegate.kernel.observability.logs import LogConfig, configure_logs
from voicegate.kernel.observability.prometheus import PrometheusTelemetry

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class EchoCall:
    """A call whose agent says again what was pushed before ``end_utterance``; typed text is answered by a tone."""

    request: CallRequest
    session_id: SessionId
    resume_secret: str
    resumed: bool = False
    heard: list[Frame] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    played_samples: int = 0
    frames_taken: int = 0
    stored: list[Event] = field(default_factory=list)
    _frames: deque[Frame] = field(default_factory=deque)
    _clips: deque[Clip] = field(default_factory=deque)
    _deliver: Callable[[Event], None] | None = None
    _ready: Callable[[], None] | None = None
    _stop: Callable[[], None] | None = None
    _over: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def push_audio(self, frame: Frame) -> None:
        assert frame.shape == (320,)
        self.heard.append(frame)

    def end_utterance(self) -> None:
        self.log.append("end_utterance")
        samples = np.concatenate(self.heard) if self.heard else np.zeros(320, np.int16)
        self.heard = []
        self.emit(events.TurnCommitted, text=f"{samples.size} samples")
        self.say(samples)

    def type_text(self, text: str) -> None:
        self.log.append(f"text {text}")
        self.emit(events.TurnCommitted, text=text, source="text")
        tone = np.sin(np.arange(3200) / 5) * 8000
        self.say(tone.astype(np.int16))

    def press_key(self, digit: str) -> None:
        self.log.append(f"key {digit}")

    def interrupt(self) -> None:
        self.log.append("interrupt")
        if self._stop is not None:
            self._stop()
        self._frames.clear()

    def say(self, samples: Samples, clauses: int = 1) -> None:
        """Speak 16 kHz samples."""
        spoken = resample_whole(samples, 16_000, self.request.output_rate_hz)
        if self.request.clips:
            self._clips.extend(Clip(TurnId(1), "clause", part) for part in np.array_split(spoken, clauses))
            return
        size = frame_samples(self.request.output_rate_hz)
        whole = spoken[: spoken.size - spoken.size % size]
        self._frames.extend(whole.reshape(-1, size))

    def take_frames(self, most: int = 1) -> Samples | None:
        taken = [self._frames.popleft() for _ in range(min(most, len(self._frames)))]
        self.frames_taken += len(taken)
        return np.concatenate(taken) if taken else None

    def on_audio(self, ready: Callable[[], None]) -> None:
        self._ready = ready

    def on_stop(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def frames_played(self, samples: int) -> None:
        self.played_samples += samples

    @property
    def at_phrase_end(self) -> bool:
        return not self._frames

    def take_clip(self) -> Clip | None:
        return self._clips.popleft() if self._clips else None

    def clip_played(self, samples: int) -> None:
        self.played_samples += samples

    def emit(self, kind: Any, **fields: Any) -> None:
        event = kind(session_id=self.session_id, seq=len(self.stored) + 1, at=NOW, **fields)
        self.stored.append(event)
        if self._deliver is not None:
            self._deliver(event)

    def subscribe(self, deliver: Callable[[Event], None], after_seq: int | None = None) -> Sequence[Event]:
        self._deliver = deliver
        return [event for event in self.stored if event.seq > (after_seq or 0)]

    def detach(self) -> None:
        self.log.append("detach")
        self._deliver = None

    def hang_up(self, reason: str) -> None:
        self.log.append(f"hang_up {reason}")
        self.end(reason)

    def end(self, reason: str) -> None:
        """The call ends for whatever reason."""
        if not self._over.done():
            self.emit(events.SessionEnded, reason=reason)
            self._over.set_result(reason)

    async def ended(self) -> str:
        return await asyncio.shield(self._over)


@dataclass(slots=True)
class EchoCalls:
    """All calls ever attached, by session id; ``fail_with`` is raised by the next attachments."""

    calls: dict[str, EchoCall] = field(default_factory=dict)
    fail_with: Exception | None = None
    gate: asyncio.Event | None = None
    """Attachments wait for it."""
    talking: set[str] = field(default_factory=set)
    """Session ids of calls that are not at a turn boundary."""
    told: list[tuple[str, str]] = field(default_factory=list)
    """Session id and code of every notice."""

    async def attach(self, request: CallRequest) -> EchoCall:
        if self.fail_with is not None:
            raise self.fail_with
        if self.gate is not None:
            await self.gate.wait()
        known = self.calls.get(request.session_id)
        if request.resume is not None:
            if known is None:
                raise RefusedCall("gone", "there is no such call")
            if request.resume.secret != known.resume_secret:
                raise RefusedCall("unauthorized", "the resume secret is wrong")
            known.resumed, known.request = True, request
            return known
        if known is not None and known.log[-1:] != ["detach"] and not known._over.done():
            raise RefusedCall("unauthorized", "the call has a connection")
        call = EchoCall(request, request.session_id, f"secret-of-{request.session_id}")
        call.emit(events.SessionStarted, agent=request.agent or "echo", transport=request.transport)
        self.calls[request.session_id] = call
        return call

    def holds(self, session_id: str) -> bool:
        return session_id in self.calls

    def at_boundary(self, session_id: str) -> bool:
        return session_id not in self.talking

    def tell(self, session_id: str, code: str, message: str) -> None:
        self.told.append((session_id, code))

    @property
    def live(self) -> int:
        return sum(not call._over.done() for call in self.calls.values())


@dataclass(slots=True)
class Served:
    """A running gateway and its calls."""

    gateway: RunningGateway
    calls: EchoCalls
    registry: CollectorRegistry

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.port}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    def heard(self, session_id: str) -> int:
        """Frames that the call got and has not answered."""
        call = self.calls.calls.get(session_id)
        return len(call.heard) if call else 0

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


Start = Callable[..., AbstractAsyncContextManager[Served]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """The gateway runs on uvloop, so its sockets are tested there."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def start() -> Start:
    """``async with start(max_connections=1) as served``: a gateway with these settings."""

    @asynccontextmanager
    async def _start(
        checks: dict[str, HealthCheck] | None = None, webrtc: WebRtcConfig | None = None, **settings: Any
    ) -> AsyncIterator[Served]:
        settings.setdefault("connection_burst", 1000.0)
        config = GatewayConfig(port=0, **settings)
        registry = CollectorRegistry()
        calls = EchoCalls()
        parts = build_parts(
            config, calls, clock=SystemClock(), telemetry=PrometheusTelemetry(registry), checks=checks or {}
        )
        async with asyncio.TaskGroup() as tasks:
            whip = WhipDoor(parts, webrtc or WebRtcConfig(), tasks)
            await whip.prepare()
            application = build_application(parts, registry, routes=whip.routes())
            async with serve(parts, application, tasks) as running:
                yield Served(running, calls, registry)

    return _start


@pytest.fixture
async def served(start: Start) -> AsyncIterator[Served]:
    """A gateway with default settings."""
    async with start() as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    with blockbuster_ctx():
        yield


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """All that is logged, as the product logs it."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    configure_logs(LogConfig(level="debug"), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)
