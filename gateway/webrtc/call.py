"""One WebRTC call from its answer to its end: the peer's media on one side, the conversation on the other.

A peer that vanishes (no datagram for :attr:`~gateway.webrtc.config.WebRtcConfig.gone_s`, although it was asked)
detaches the conversation, which then waits for its resume window. Its sockets stay a while longer: if the same peer
comes back, as after a tunnel, it has its call again without asking for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, replace
from typing import Final

import structlog

from gateway.close_codes import CloseCode
from gateway.conversation import CallRequest, Calls, Conversation, Resume
from gateway.metronome import Metronome
from gateway.webrtc.answer import our_role
from gateway.webrtc.audio import CallAudio
from gateway.webrtc.config import WebRtcConfig
from gateway.webrtc.events import EventsChannel
from gateway.webrtc.peer import Peer, PeerCounters
from gateway.webrtc.presence import LOOK_S, Presence, Sign
from gateway.webrtc.receiver import AudioReceiver
from gateway.webrtc.sender import AudioSender
from gateway.websocket.ending import Ending, Exit, Farewell, MustClose, ending_for, ending_of_call
from gateway.websocket.limits import InputMeter, SocketLimits
from voicegate.kernel.clock import Clock
from voicegate.kernel.telemetry import Histogram, Telemetry

LINGER_S: Final = 3.0
"""How long a WHIP session outlives its peer's goodbye."""
_LAST_EVENTS_S: Final = 2.0
_FLUSH_S: Final = 0.5

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CallParts:
    """What all WebRTC calls of a process share."""

    calls: Calls
    metronome: Metronome
    hold: Callable[[str, Exit], None]
    config: WebRtcConfig
    limits: SocketLimits
    clock: Clock
    telemetry: Telemetry
    counters: PeerCounters
    setup_seconds: Histogram
    """From the answer to media."""


class WebRtcCall:
    """One call. It is the peer's :class:`~gateway.webrtc.peer.Media`."""

    def __init__(self, parts: CallParts, request: CallRequest, conversation: Conversation, leaving: Exit) -> None:
        self._parts = parts
        self._request = request
        self._conversation: Conversation | None = conversation
        """None only when it is all over."""
        self._leaving = leaving
        self._secret = conversation.resume_secret
        self._peer: Peer | None = None
        self._audio: CallAudio | None = None
        self._events: EventsChannel | None = None
        self._began_s = parts.clock.monotonic()
        self._presence: Presence | None = None
        """None until media can flow."""
        self._detached = False
        """The peer is away, and the conversation waits."""
        self._goodbye_s: float | None = None
        self._back = asyncio.Event()
        self._parted = False
        self._hurry: Callable[[], None] = _nobody

    def joined(self, peer: Peer) -> None:
        """The peer, before :meth:`run`."""
        offer, conversation = peer.offer, self._conversation
        assert conversation is not None
        sender = None
        if offer.audio.direction == "sendrecv":
            sender = AudioSender(peer.ssrc, offer.audio.payload_type, peer.cname, rate_hz=self._request.output_rate_hz)
        receiver = AudioReceiver(offer.audio.payload_type, now_s=self._began_s)
        self._peer, self._audio = peer, CallAudio(receiver, sender, peer.ssrc, peer.cname)
        if offer.data is not None:
            resume = self._request.resume
            self._events = EventsChannel(
                offer.data,
                peer.send_data,
                conversation,
                self._leaving,
                server=our_role(offer) == "passive",
                after_seq=resume.last_seq if resume else 0,
                meter=InputMeter(self._parts.limits, self._began_s),
                now=self._parts.clock.monotonic,
                telemetry=self._parts.telemetry,
                dropped=self._parts.counters.refused,
            )

    @property
    def given_up(self) -> Farewell:
        """What becomes of the call when its caller gives this connection up. One that never came up to resume a call
        is no reason to end it: the caller tries again, or another way."""
        return "detach" if self._request.resume is not None and self._presence is None else "hang_up"

    # --- the peer's media ---

    def rtp(self, packet: bytes) -> None:
        if self._audio is not None and not self._leaving.decided:
            self._audio.heard(packet, self._present(), self._parts.clock.monotonic())

    def rtcp(self, packet: bytes) -> None:
        if self._audio is not None:
            self._audio.told(packet, self._parts.clock.monotonic())

    def data(self, packet: bytes) -> None:
        if self._events is not None:
            self._events.push(packet)

    # --- from the answer to the end ---

    async def run(self) -> Ending:
        """Run to the end and close everything. Cancellation detaches the call."""
        peer = self._peer
        assert peer is not None, "joined comes first"
        ending = Ending(CloseCode.GOING_AWAY, "cancelled", "detach")
        try:
            ending = await self._run(peer)
        finally:
            self._part(ending)
            await peer.close()
            self._count()
            self._peer = self._audio = self._events = self._conversation = None  # else garbage in a cycle
            self._hurry = _nobody
        return ending

    async def _run(self, peer: Peer) -> Ending:
        loop, metronome, conversation = asyncio.get_running_loop(), self._parts.metronome, self._conversation
        assert conversation is not None
        seat = metronome.join(self._tick)

        def hurry() -> None:
            loop.call_soon(metronome.hurry, seat)

        self._hurry = hurry
        conversation.on_audio(self._hurry)
        try:
            async with asyncio.TaskGroup() as tasks:
                works = [self._connect(peer), self._watch(conversation), self._come_back()]
                work = [tasks.create_task(self._guarded(each)) for each in works]
                ending = await self._leaving.wait()
                self._part(ending)
                await self._say_goodbye(ending, conversation)
                for task in work:
                    task.cancel()
        finally:
            metronome.leave(seat)
        return ending

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            ending = ending_for(error)
            if ending.code is CloseCode.INTERNAL:
                _log.exception("a WebRTC call failed")
            self._leaving.leave(ending)

    async def _connect(self, peer: Peer) -> None:
        """Until media flows; then serve the data channel."""
        config = self._parts.config
        try:
            async with asyncio.timeout(config.setup_s):
                await peer.connect()
        except (TimeoutError, ConnectionError) as error:
            why = str(error) or f"no connection within {config.setup_s:g} s"
            raise MustClose(Ending(CloseCode.START_TIMEOUT, why, self.given_up, peer_gone=True)) from None
        now_s = self._parts.clock.monotonic()
        self._parts.setup_seconds.observe(now_s - self._began_s)
        self._presence = Presence(config.quiet_s, config.gone_s, config.forget_s, now_s)
        self._hurry()
        if self._events is not None:
            await self._events.run()

    async def _watch(self, conversation: Conversation) -> None:
        self._leaving.leave(ending_of_call(await conversation.ended()))

    async def _come_back(self) -> None:
        """Take the call up again each time the peer is heard after it was gone."""
        while True:
            await self._back.wait()
            self._back.clear()
            last_seq = self._events.last_seq if self._events is not None else 0
            request = replace(self._request, resume=Resume(self._secret, last_seq))
            conversation = await self._parts.calls.attach(request)
            self._parts.hold(conversation.session_id, self._leaving)
            if self._presence is None or self._presence.away or self._leaving.decided:
                conversation.detach()
                continue
            self._conversation, self._detached = conversation, False
            conversation.on_audio(self._hurry)
            if self._events is not None:
                self._events.follow(conversation)

    async def _say_goodbye(self, ending: Ending, conversation: Conversation) -> None:
        """What the peer is still told, if it is there: the call's last events, and why it ends."""
        if ending.peer_gone or self._detached or self._events is None:
            return
        if ending.farewell == "hang_up":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_EVENTS_S):
                    await conversation.ended()
        self._events.farewell(ending)
        await self._events.flushed(_FLUSH_S)

    def _part(self, ending: Ending) -> None:
        """Tell the call, once."""
        conversation = self._conversation
        if self._parted or conversation is None or self._leaving.superseded:
            return
        self._parted = True
        match ending.farewell:
            case "hang_up":
                conversation.hang_up(ending.hang_up_reason)
            case "detach" if not self._detached:
                conversation.detach()
            case _:
                pass

    def _count(self) -> None:
        """What became of the caller's packets."""
        if self._audio is not None:
            for outcome, count in asdict(self._audio.receiver.counts).items():
                if outcome.endswith("_ms"):
                    continue
                self._parts.telemetry.counter(
                    "voicegate_webrtc_audio_packets_total", "Audio packets of callers", outcome=outcome
                ).inc(count)

    def _present(self) -> Conversation | None:
        return None if self._detached else self._conversation

    # --- the clock ---

    def _tick(self) -> None:
        peer, audio = self._peer, self._audio
        if peer is None or audio is None or self._leaving.decided:
            return
        try:
            if self._presence is None:
                peer.tick()
            else:
                self._beat(peer, audio, self._presence)
        except Exception as error:
            _log.exception("a WebRTC call's tick failed")
            self._leaving.leave(ending_for(error))

    def _beat(self, peer: Peer, audio: CallAudio, presence: Presence) -> None:
        now_s = self._parts.clock.monotonic()
        if peer.said_goodbye:
            self._linger(now_s)
            return
        conversation = self._present()
        audio.listen(conversation, now_s)
        audio.speak(conversation, peer.send_rtp, now_s)
        report = audio.report(now_s)
        if report is not None:
            peer.send_rtcp(report)
            self._look(peer, now_s)
        if now_s - presence.now_s < LOOK_S:
            return
        match presence.tick(peer.heard, now_s):
            case Sign.ASK:
                peer.ask()
            case Sign.GONE:
                self._gone()
            case Sign.BACK:
                self._back.set()
            case Sign.FORGET:
                self._leaving.leave(Ending(CloseCode.GOING_AWAY, "the peer vanished", "none", peer_gone=True))
            case Sign.NOTHING:
                pass

    def _linger(self, now_s: float) -> None:
        """The peer closed its connection, as a page does that is reloaded or closed. WHIP clients do it just before
        their DELETE, which must still find its session: only that, and ``session.end``, are meant as a hang-up."""
        if self._goodbye_s is None:
            self._goodbye_s = now_s
            self._gone()
        if now_s - self._goodbye_s >= LINGER_S:
            self._leaving.leave(Ending(CloseCode.GOING_AWAY, "the peer closed", "none", peer_gone=True))

    def _look(self, peer: Peer, now_s: float) -> None:
        """What need not be looked at in every tick."""
        limit_s = self._parts.limits.session_s
        if now_s - self._began_s > limit_s:
            why = f"a call lasts at most {limit_s:g} s"
            self._leaving.leave(Ending(CloseCode.SESSION_TIME, why, "hang_up"))

    def _gone(self) -> None:
        _log.info("peer is away", session_id=self._request.session_id)
        if self._conversation is not None and not self._detached:
            self._detached = True
            self._conversation.detach()


def _nobody() -> None: ...
