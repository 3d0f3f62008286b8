"""One running call: the conversation, its log and the socket of the moment, as the gateway's ``Conversation``."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from gateway.conversation import CallRequest, Clip
from pipeline.session import Session
from voicegate.kernel.audio import Frame
from voicegate.kernel.events import Event
from voicegate.kernel.ids import SessionId

_RECENT_EVENTS = 256
"""Delivered events kept in memory for a client that reconnects: some ten seconds of lively talk. Older ones are read
from the store."""

Deliver = Callable[[Event], None]


class Call:
    """Lives as long as its conversation; sockets come and go."""

    def __init__(
        self,
        request: CallRequest,
        session: Session,
        *,
        lease_token: int,
        resume_secret: str,
        resumed: bool,
        resume_s: float,
    ) -> None:
        self.request = request
        self.lease_token = lease_token
        """Of the lease under which the call writes; another call of the same id has another one."""
        self.session = session
        # What every frame takes goes straight through.
        self.push_audio: Callable[[Frame], None] = session.push_audio
        self.take_frames = session.take_frames
        self._secret = resume_secret
        self._resumed = resumed
        self._resume_s = resume_s
        self._missed: tuple[Event, ...] = ()
        self._recent: deque[Event] = deque(maxlen=_RECENT_EVENTS)
        self._deliver: Deliver | None = None
        self._attached = True
        self._loop = asyncio.get_running_loop()
        self._vanish: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[str] = self._loop.create_future()

    # --- what the registry needs ---

    @property
    def attached(self) -> bool:
        """A socket has the call."""
        return self._attached

    @property
    def oldest_seq(self) -> int | None:
        """The oldest event in memory."""
        return self._recent[0].seq if self._recent else None

    @property
    def at_boundary(self) -> bool:
        """Between two turns: nobody speaks, and nobody is about to answer."""
        return self.session.at_boundary

    def reattach(self, missed: Sequence[Event]) -> None:
        """Another socket takes over; ``missed`` are events older than those in memory."""
        self._attached, self._resumed = True, True
        self._deliver = None
        self.session.detached()
        self._missed = tuple(missed)
        if self._vanish:
            self._vanish.cancel()
            self._vanish = None

    def take(self, event: Event) -> None:
        """A stored event, on its way to the client."""
        self._recent.append(event)
        if self._deliver:
            self._deliver(event)

    def finish(self, reason: str) -> None:
        """The conversation is over and all its events are delivered."""
        if self._vanish:
            self._vanish.cancel()
        if not self._over.done():
            self._over.set_result(reason)
        self._deliver = None  # the client's end of the call: with it the call would be garbage in a cycle

    def notice(self, code: str, message: str) -> None:
        """Tell the client of a degradation, or of its end."""
        self.session.notice(code, message)

    # --- what the transport needs: gateway.conversation.Conversation ---

    @property
    def session_id(self) -> SessionId:
        return self.request.session_id

    @property
    def resume_secret(self) -> str:
        return self._secret

    @property
    def resumed(self) -> bool:
        return self._resumed

    def end_utterance(self) -> None:
        self.session.end_utterance()

    def type_text(self, text: str) -> None:
        self.session.type_text(text)

    def press_key(self, digit: str) -> None:
        self.session.press_key(digit)

    def interrupt(self) -> None:
        self.session.interrupt()

    def on_audio(self, ready: Callable[[], None]) -> None:
        self.session.on_audio(ready)

    def on_stop(self, stop: Callable[[], None]) -> None:
        self.session.on_stop(stop)

    def frames_played(self, samples: int) -> None:
        self.session.frames_played(samples)

    @property
    def at_phrase_end(self) -> bool:
        return self.session.at_phrase_end

    def take_clip(self) -> Clip | None:
        clip = self.session.take_clip()
        return Clip(self.session.turn, clip.text, clip.samples) if clip else None

    def clip_played(self, samples: int) -> None:
        self.session.clip_played(samples)

    def subscribe(self, deliver: Deliver, after_seq: int | None = None) -> Sequence[Event]:
        self._deliver = deliver
        if after_seq is None:
            return ()
        missed, self._missed = self._missed, ()
        by_seq = {event.seq: event for event in (*missed, *self._recent) if event.seq > after_seq}
        return [by_seq[seq] for seq in sorted(by_seq)]

    def detach(self) -> None:
        self._deliver = None
        self.session.detached()
        self._attached = False
        if self._vanish is None and not self._over.done():
            self._vanish = self._loop.call_later(self._resume_s, self.hang_up, "disconnected")

    def hang_up(self, reason: str) -> None:
        self.session.hang_up(reason)

    async def ended(self) -> str:
        return await asyncio.shield(self._over)
