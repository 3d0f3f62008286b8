"""The running calls of a process: joins conversations (pipeline) with their records (sessions) for the gateway.

A call outlives its socket: it runs as a task of this registry, and sockets attach to it and detach from it.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary, WeakValueDictionary

import structlog

from gateway.conversation import CallRequest
from pipeline.ports import CallControl
from pipeline.replay import Recorder
from pipeline.reporter import Reporter
from pipeline.session import Session
from pipeline.session_config import Engines, SessionConfig
from sessions.config import Config as StateConfig
from sessions.journal import Journal
from sessions.lease import Leases
from sessions.log import SessionLog
from sessions.resume import ResumeState, resume
from sessions.store import Store
from voicegate.beginning import Beginning, setup_of
from voicegate.call import Call
from voicegate.casting import Cast, ChooseCast
from voicegate.kernel.clock import Clock
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.events import Event
from voicegate.kernel.ids import SessionId
from voicegate.memory import answering, remembered
from voicegate.payments import Payments

_log = structlog.get_logger(__name__)

_REFUSALS = {
    "resume_refused": ("unauthorized", "no call with this id and resume secret"),
    "session_ended": ("gone", "the call has ended"),
    "session_exists": ("in_use", "this session id has been used; take a new one"),
    "session_busy": ("in_use", "another connection holds this session"),
    "session_unknown": ("gone", "there is no such session"),
}
"""Codes of the state store to codes of the gateway."""

_HUNG_UP_S = 2.0
"""Longest wait for a call that may be ending."""


@dataclass(frozen=True, slots=True)
class State:
    """Where sessions are kept."""

    store: Store
    leases: Leases
    journal: Journal
    config: StateConfig


@dataclass(frozen=True, slots=True)
class CallsConfig:
    max_calls: int = 200
    max_call_s: float = 3600.0
    resume_s: float = 60.0
    record_to: Path | None = None
    """Folder for the turn events of every call, one file a connection (see :mod:`pipeline.replay`)."""


class CallRegistry:
    """All calls of this process: the gateway's ``Calls``. Use as an async context manager; leaving it ends them."""

    def __init__(
        self,
        engines: Engines,
        session_config: SessionConfig,
        config: CallsConfig,
        state: State,
        clock: Clock,
        observe: Callable[[Event], None],
        cast: ChooseCast | None = None,
        payments: Payments | None = None,
    ) -> None:
        """``observe`` sees every event once, for metrics. ``cast`` chooses who answers a call; None: ``engines``.
        ``payments``: None: all calls are free."""
        self._payments = payments
        self._cast = cast
        self._engines, self._session_config = engines, session_config
        self._config, self._state, self._clock = config, state, clock
        self._observe = observe
        self._calls: dict[SessionId, Call] = {}
        self._first_seqs: WeakKeyDictionary[Call, int] = WeakKeyDictionary()
        """Number of each call's first event in this process."""
        self._starting = 0
        self._attaching: WeakValueDictionary[SessionId, asyncio.Lock] = WeakValueDictionary()
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self.draining = False
        self.control_of: Callable[[str], CallControl] | None = None
        """What the agent of a session may do with its call. Set before the first call: phones need the calls first."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.draining = True
        for task in tuple(self._running):
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def live(self) -> int:
        return len(self._calls)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all running calls. May be read from any thread."""
        return tuple(self._calls.copy())

    def holds(self, session_id: str) -> bool:
        """A call with this id runs here."""
        return session_id in self._calls

    @property
    def owner(self) -> str:
        """The name under which this process holds its sessions."""
        return self._state.leases.owner

    def find(self, session_id: str) -> Call | None:
        """The call with this id, if it runs here."""
        return self._calls.get(SessionId(session_id))

    def at_boundary(self, session_id: str) -> bool:
        """Nobody speaks in that call and nobody is about to answer; also true when no such call runs here."""
        call = self._calls.get(SessionId(session_id))
        return call is None or call.at_boundary

    def tell(self, session_id: str, code: str, message: str) -> None:
        """A notice to one call, where it runs here."""
        call = self._calls.get(SessionId(session_id))
        if call is not None:
            call.notice(code, message)

    def tell_all(self, code: str, message: str) -> None:
        """A notice to every call."""
        for call in tuple(self._calls.values()):
            call.notice(code, message)

    async def attach(self, request: CallRequest) -> Call:
        """Begin a call, or continue one. See :class:`gateway.conversation.Calls`."""
        if self.draining:
            raise RefusedCall("draining", "this process is shutting down; try again at once")
        # One after the other: two clients that resume the same call at once must end in one call, not in two.
        async with self._attaching.setdefault(request.session_id, asyncio.Lock()):
            return await self._attach(request)

    async def _attach(self, request: CallRequest) -> Call:
        running = self._calls.get(request.session_id)
        if running is not None and not (request.clips and await self._over(running)):
            return await self._reattach(running, request)
        if self._state.journal.away:
            raise StateUnavailable("the state store is away; calls in progress go on, new ones have to wait")
        if len(self._calls) + self._starting >= self._config.max_calls:
            raise RefusedCall("busy", "all lines are busy; try again in a moment", retry_after_s=5)
        self._starting += 1
        try:
            return await self._begin(await self._beginning(request))
        except RefusedCall as refusal:
            code, text = _REFUSALS.get(refusal.code, (refusal.code, str(refusal)))
            raise RefusedCall(code, text, retry_after_s=refusal.retry_after_s) from refusal
        finally:
            self._starting -= 1

    # --- beginning and resuming ---

    async def _over(self, call: Call) -> bool:
        """Whether ``call`` has ended. One that its client has hung up is given the moment it needs to be stored: the
        simple profile's clients call again under the same id as soon as they have closed."""
        try:
            async with asyncio.timeout(_HUNG_UP_S):
                await call.ended()
        except TimeoutError:
            return False
        return True

    async def _reattach(self, call: Call, request: CallRequest) -> Call:
        if request.resume is None:
            raise RefusedCall("in_use", "this session id belongs to a running call")
        if not hmac.compare_digest(call.resume_secret, request.resume.secret):
            raise RefusedCall("unauthorized", "no call with this id and resume secret")
        missed: Sequence[Event] = ()
        last_seq = request.resume.last_seq
        if self._oldest(call) > last_seq + 1:
            stored = await self._state.store.events_after(request.session_id, last_seq)
            # The others are in memory, or come there once their storing is acknowledged.
            missed = [event for event in stored if event.seq < self._oldest(call)]
        call.reattach(missed)
        return call

    def _oldest(self, call: Call) -> int:
        """The oldest event that the call itself has, or will have."""
        return call.oldest_seq or self._first_seqs[call]

    async def _beginning(self, request: CallRequest) -> Beginning:
        state = self._state
        if request.resume is not None:
            found: ResumeState = await resume(
                state.store,
                state.leases,
                state.config,
                self._clock,
                request.session_id,
                secret=request.resume.secret,
                last_seq=request.resume.last_seq,
            )
            events = await state.store.events_after(request.session_id, 0)
            return Beginning(
                request,
                found.record,
                found.lease,
                request.resume.secret,
                found.next_seq,
                found.transcript,
                events,
                found.missed,
                resumed=True,
                cast=await self._cast(answering(found.record.agent, events)) if self._cast else None,
            )
        cast = await self._cast(request.agent) if self._cast else None
        if self._payments and cast and cast.payer:
            await self._payments.admit(request.session_id, cast.payer)
        secret = secrets.token_urlsafe(24)
        record = await state.store.create(
            request.session_id,
            agent=request.agent,
            transport=request.transport,
            context=dict(request.context),
            resume_secret=secret,
            replace=request.clips,  # the simple profile's clients use one id again and again and know no secret
        )
        return Beginning(request, record, await state.leases.acquire(request.session_id), secret, cast=cast)

    async def _begin(self, beginning: Beginning) -> Call:
        started: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        task = self._tasks.create_task(self._run(beginning, started), name=f"call {beginning.request.session_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await started

    async def _run(self, beginning: Beginning, started: "asyncio.Future[Call]") -> None:
        session_id = beginning.request.session_id
        structlog.contextvars.bind_contextvars(session_id=session_id)
        try:
            await self._hold(beginning, started)
        except Exception as error:
            # One call's defect is logged with its session and must not end the others of the TaskGroup.
            _log.exception("call_crashed")
            if not started.done():
                started.set_exception(error)
        finally:
            call = self._calls.pop(session_id, None)
            if call is not None:
                call.finish("error")

    async def _hold(self, beginning: Beginning, started: "asyncio.Future[Call]") -> None:
        request, token = beginning.request, beginning.lease.token
        loop = asyncio.get_running_loop()
        async with self._state.journal.open(
            beginning.record,
            beginning.lease,
            transcript=beginning.entries,
            on_lost=lambda _: self._lost(request.session_id, token),
        ) as log:
            cast = beginning.cast or Cast(self._engines, self._session_config)
            reporter = Reporter(request.session_id, log, self._clock, next_seq=beginning.next_seq)
            memory = remembered(beginning.entries, beginning.events)
            lines: list[bytes] = []
            record = None
            if self._config.record_to is not None and cast.config.allowance.recordings:
                record = Recorder(lines.append, cast.config.turn, first_turn=memory.first_turn).record
            control = self.control_of(request.session_id) if self.control_of else None
            setup = setup_of(beginning, memory, record, control)
            session = Session(setup, cast.engines, cast.config, reporter, self._clock)

            call = Call(
                request,
                session,
                lease_token=token,
                resume_secret=beginning.secret,
                resumed=beginning.resumed,
                resume_s=self._config.resume_s,
            )
            self._first_seqs[call] = beginning.next_seq
            if beginning.resumed:
                call.reattach(beginning.missed)
            log.subscribe(self._observe)
            no_more = log.subscribe(call.take)
            self._calls[request.session_id] = call
            limit = loop.call_later(self._config.max_call_s, call.hang_up, "max_duration")
            forget_costs = self._watch_costs(cast.payer, session, log, beginning)
            if started.cancelled():  # its transport went while it began: nobody has it, as after a lost socket
                call.detach()
            else:
                started.set_result(call)
            try:
                reason = await session.run()
                await log.stored()
            finally:
                limit.cancel()
                forget_costs()
                if record is not None and self._config.record_to is not None:
                    name = f"{request.session_id}-{beginning.next_seq}.jsonl"
                    await asyncio.to_thread(_save, self._config.record_to / name, lines)
            _log.info("call_ended", reason=reason)
        no_more()
        self._calls.pop(request.session_id, None)
        call.finish(reason)

    def _watch_costs(self, payer: str, session: Session, log: SessionLog, beginning: Beginning) -> Callable[[], None]:
        """Follow what the call costs, until the function that is returned is called."""
        if not (self._payments and payer):
            return lambda: None
        session_id = beginning.request.session_id
        watched = self._payments.watch(session_id, payer, session, beginning.events)
        no_more = log.subscribe(watched.take)
        watching = self._tasks.create_task(watched.run(), name=f"costs {session_id}")

        def forget() -> None:
            no_more()
            watching.cancel()

        return forget

    def _lost(self, session_id: SessionId, token: int) -> None:
        """Another process owns the session now, or a newer call of this one does: that is not to be ended."""
        call = self._calls.get(session_id)
        if call is not None and call.lease_token == token:
            call.hang_up("taken_over")


def _save(path: Path, lines: list[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
