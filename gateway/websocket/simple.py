"""Driver of the simple profile: a recorder's audio in, one WAV file a clause out, no text.

The client plays whatever arrives at once and cannot be told to stop, so the clips are sent in real time: the next one
only when the last has finished by our clock.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from audiocodecs.media import MediaDecoder
from audiocodecs.sniff import sniff
from audiocodecs.wav import encode_wav
from gateway.close_codes import CloseCode
from gateway.conversation import Clip, Conversation
from gateway.websocket.ending import Ending, Exit, MustClose
from gateway.websocket.frames import FrameFeed
from gateway.websocket.limits import InputMeter, SocketLimits
from gateway.websocket.link import BinaryMessage, Link, TextMessage
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples
from voicegate.kernel.clock import Clock

OUTPUT_RATE_HZ: Final = 24_000
"""Rate of every WAV file sent (our choice: what most voices have; every ``decodeAudioData`` resamples it)."""
MAX_CLIP_BYTES: Final = 1024 * 1024 - 1
"""Below the 1 MiB at which the usual Python client closes with 1009."""
GAP_S: Final = 0.06
"""Between the end of a clip and the next one: what a page needs to decode, and some network jitter (our choice)."""
_WAV_HEADER_BYTES: Final = 44
_MAX_CLIP_SAMPLES: Final = (MAX_CLIP_BYTES - _WAV_HEADER_BYTES) // 2
_OFF_LOOP_BYTES: Final = 16 * 1024
"""WAV messages above this are decoded in a thread: a second and more of audio would hold up the other calls. Opus is
decoded there always: a kilobyte of it may be a minute (RFC 6716 packets of one byte that last 120 ms)."""


@dataclass(frozen=True, slots=True)
class _Playing:
    """A clip that the client is playing."""

    started_s: float
    samples: int

    def due(self, now: float) -> int:
        """Samples that are audible by our clock."""
        return min(self.samples, max(0, int((now - self.started_s) * OUTPUT_RATE_HZ)))

    def over(self, now: float) -> bool:
        return now >= self.started_s + self.samples / OUTPUT_RATE_HZ + GAP_S


class ClipPlayer:
    """Sends a conversation's clips one after the other, in real time."""

    def __init__(self, conversation: Conversation, link: Link, clock: Clock) -> None:
        self._conversation = conversation
        self._link = link
        self._clock = clock
        self._pieces: deque[Samples] = deque()
        self._playing: _Playing | None = None
        self._reported = 0

    def tick(self) -> None:
        """Report what became audible; send the next piece once the last is over and has left."""
        now = self._clock.monotonic()
        if self._playing is not None:
            self._report(self._playing.due(now))
            if not self._playing.over(now):
                return
            self._playing = None
        if self._link.unsent_audio_ms():
            return  # it has not even left us; the next would pile up behind it
        if not self._pieces:
            clip = self._conversation.take_clip()
            self._pieces.extend(_pieces(clip) if clip is not None else ())
        if self._pieces:
            self._play(self._pieces.popleft(), now)

    def _play(self, samples: Samples, now: float) -> None:
        self._link.send_audio(encode_wav(samples, OUTPUT_RATE_HZ), samples.size * 1000 / OUTPUT_RATE_HZ)
        self._playing, self._reported = _Playing(now, samples.size), 0

    def _report(self, due: int) -> None:
        if due > self._reported:
            self._conversation.clip_played(due - self._reported)
            self._reported = due


class SimpleDriver:
    """One connection in the simple profile (see :class:`gateway.websocket.carry.Driver`)."""

    begun = True

    def __init__(
        self, link: Link, conversation: Conversation, leaving: Exit, *, limits: SocketLimits, clock: Clock
    ) -> None:
        self._link = link
        self._conversation = conversation
        self._leaving = leaving
        self._limits = limits
        self._clock = clock
        self._meter = InputMeter(limits, clock.monotonic())
        self._decoder = MediaDecoder(max_samples=int(limits.upload_s * PIPELINE_RATE_HZ))
        self._feed = FrameFeed(conversation)
        self._player = ClipPlayer(conversation, link, clock)

    async def receive(self, message: TextMessage | BinaryMessage) -> None:
        match message:
            case TextMessage():
                why = "the simple profile takes binary audio only; for text ask for the subprotocol voice.v1"
                raise MustClose(Ending(CloseCode.WRONG_KIND, why, "detach"))
            case BinaryMessage(data=data) if data:  # a recorder may send empty blobs
                await self._hear(data)
            case _:
                pass

    def seated(self, hurry: Callable[[], None]) -> None:
        """Clips are counted out in ticks of 20 ms, so none may come early."""

    def tick(self) -> float:
        self._player.tick()
        if self._link.stuck_s() >= self._limits.stuck_s:
            self._leaving.leave(Ending(CloseCode.TOO_SLOW, "nothing was read for several seconds", "detach"))
        return 0.0

    def goodbye(self, code: int) -> Ending:
        return Ending(CloseCode.NORMAL, f"client closed with {code}", "hang_up", peer_gone=True)

    def lost(self, reason: str) -> Ending:
        return Ending(CloseCode.GOING_AWAY, reason, "detach", peer_gone=True)

    def part(self, ending: Ending) -> None:
        # This client never got a resume secret, so nothing could continue the call: however it ends, it is over.
        if ending.farewell != "none":
            self._conversation.hang_up(ending.hang_up_reason)

    async def farewell(self, ending: Ending) -> None:
        """The close says it."""

    async def ended(self) -> str:
        return await self._conversation.ended()

    async def _hear(self, data: bytes) -> None:
        now = self._clock.monotonic()
        is_wav = sniff(data[:12]) == "wav"
        if is_wav:
            self._meter.upload(len(data), now)
        else:
            self._meter.message(len(data), now)
        if len(data) > _OFF_LOOP_BYTES or not is_wav:
            media = await asyncio.to_thread(self._decoder.push, data)
        else:
            media = self._decoder.push(data)
        seconds = media.samples.size / PIPELINE_RATE_HZ
        self._meter.audio(seconds, now, upload=is_wav or media.end_of_utterance)
        await self._feed.push(media.samples)
        if media.end_of_utterance:
            await self._feed.end_utterance()


def _pieces(clip: Clip) -> Iterator[Samples]:
    """The clip, in as many pieces as messages below the size limit need: one, for anything that is a clause."""
    for start in range(0, clip.samples.size, _MAX_CLIP_SAMPLES):
        yield clip.samples[start : start + _MAX_CLIP_SAMPLES]
