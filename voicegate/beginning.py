"""What a call starts from: nothing, or what an earlier process left of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.conversation import CallRequest
from pipeline.ports import CallControl
from pipeline.session_config import Memory, SessionSetup
from pipeline.turn_messages import TurnEvent
from sessions.lease import Lease
from sessions.model import SessionRecord, TranscriptEntry
from voicegate.casting import Cast
from voicegate.kernel.events import Event


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a call starts from: nothing, or what an earlier process left."""

    request: CallRequest
    record: SessionRecord
    lease: Lease
    secret: str
    next_seq: int = 1
    entries: Sequence[TranscriptEntry] = ()
    events: Sequence[Event] = ()
    """All that the earlier process stored."""
    missed: Sequence[Event] = ()
    resumed: bool = False
    cast: Cast | None = None
    """None: the deployment's own engines."""


def setup_of(
    beginning: Beginning, memory: Memory, record: Callable[[TurnEvent], None] | None, control: CallControl | None
) -> SessionSetup:
    """What the conversation is told of its call."""
    request = beginning.request
    opening = "greeting" if request.greeting else None
    return SessionSetup(
        transport=request.transport,
        output_rate_hz=request.output_rate_hz,
        clips=request.clips,
        confirms=request.confirms,
        opening=("resume" if memory.interrupted else None) if beginning.resumed else opening,  # type: ignore[arg-type]
        resumed=beginning.resumed,
        # A published agent is called by its id; what it calls itself is for its engines to say.
        agent="" if beginning.cast and beginning.cast.published else request.agent,
        input_format=request.input_format,
        output_format=request.output_format,
        context=dict(beginning.record.context) or dict(request.context),
        memory=memory,
        control=control,
        record=record,
    )
