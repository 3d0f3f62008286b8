"""What the turn machine is set to and what it keeps in mind. PURE."""

from dataclasses import dataclass, field

from pipeline.endpointing import EndpointingConfig, delay_s
from pipeline.ports import Transcription
from pipeline.turn_messages import ReplyKind
from voicegate.kernel.ids import ReplyId


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """Bounds in seconds; our choice, because people wait about that long for each other."""

    endpointing: EndpointingConfig = field(default_factory=EndpointingConfig)
    speculate: bool = True
    """Work on a reply before the turn is over."""
    doubtful_s: float = 0.5
    """A caller who is given more silence than this may well go on. After finished sentences it is less."""
    barge_in_confirm_s: float = 0.7
    """Speech over a reply that lasts this long takes the floor whatever it says."""
    barge_in_words: int = 2
    """Interim words over a reply, beyond listening noises, that take the floor."""
    cough_s: float = 0.45
    """Voiced time over a reply below which a stretch without words is no turn."""
    transcript_s: float = 4.0
    """Longest wait for settled text after the caller stopped."""
    cough_confidence: float = -0.4
    """Mean log-probability below which the text of such a short stretch counts as none. Snatches of speech cut out of
    words have a median of -0.5, single words said on purpose are above -0.35 (Moonshine)."""
    hesitation_s: float = 1.0
    """Longest wait for settled text of a short stretch over a reply, before the reply goes on."""
    last_words_s: float = 1.0
    """Rest of a reply below which a listening noise counts as an answer to it."""
    unbroken_s: float = 20.0
    """Speech without a pause is looked at this often: if there are no words in it, it is music or noise."""
    turn_s: float = 120.0
    """Longest turn of the caller; then the agent takes the floor with what was said."""
    filler_s: float = 1.2
    """Silence before the agent says that it is working on it."""
    filler_again_s: float = 5.0
    fillers: int = 2
    """Fillers in a row before the machine gives up on the reply; with 0 it gives up after ``filler_again_s``."""
    idle_s: float = 12.0
    """Silence of both sides before the agent asks whether the caller is there; 0 never asks."""
    idle_prompts: int = 2
    """Prompts without an answer before the call ends."""
    failures: int = 2
    """Replies and transcripts that fail in a row before the call ends."""


@dataclass(slots=True)
class Utterance:
    """What the caller is saying."""

    began: float
    """Its first stretch of speech."""
    since: float
    """The running (or last) stretch."""
    over: bool = False
    """It began over the reply that has the floor."""
    answers: bool = False
    """It is said to a prompt, or when the reply was all but over: a mere "yes" answers then and takes the floor."""
    speaking: bool = True
    looked_at: float = 0.0
    """Since when the running stretch goes on without a look at its words."""
    until: float = 0.0
    voiced_s: float = 0.0
    """Of all stretches, by their samples."""
    mark: int = 0
    """The last one asked for; 0 while nothing that was asked covers all of it."""
    heard: Transcription | None = None
    """The answer to ``mark``; None while speaking."""
    closing: bool = False
    """The next settled text is the whole turn: nothing more will come, or it has gone on for too long."""
    took_floor: bool = False
    """A reply was cancelled for it."""

    def endpoint(self, heard: Transcription, config: TurnConfig) -> float:
        """When the turn is over, if the caller adds nothing to ``heard``."""
        return self.until if self.closing else self.until + delay_s(heard, config.endpointing)

    def deadline(self, config: TurnConfig, *, paused: bool) -> float:
        """When the wait for more ends; ``paused``: a reply is paused for it."""
        if self.heard:
            return self.endpoint(self.heard, config)
        if not self.speaking:
            short = paused and self.over and self.voiced_s < config.cough_s
            return self.until + (config.hesitation_s if short else config.transcript_s)
        if paused and self.over:
            return self.since + config.barge_in_confirm_s
        if self.closing:
            return self.looked_at + config.transcript_s
        return min(self.looked_at + config.unbroken_s, self.began + config.turn_s)


@dataclass(slots=True)
class Reply:
    """What the agent is saying."""

    id: ReplyId
    kind: ReplyKind
    audible: bool = False
    silent_since: float = 0.0
    """Since when nothing of it is audible, while ``audible`` is false."""
    fillers: int = 0
    """Said since the reply itself was last audible."""
    failed: bool = False
    end_reason: str | None = None
    """The call ends with it."""

    def deadline(self, config: TurnConfig) -> float | None:
        """When its silence has lasted too long."""
        if self.audible:
            return None
        if self.failed:
            return self.silent_since
        first = config.fillers > 0 and self.fillers == 0
        return self.silent_since + (config.filler_s if first else config.filler_again_s)
