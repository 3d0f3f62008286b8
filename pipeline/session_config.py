"""What a conversation is made of and set to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.allowance import Allowance
from pipeline.ports import Agent, CallControl, Message, SpeechToText, TextToSpeech, VoiceActivity
from pipeline.turn_messages import TurnEvent
from pipeline.turn_state import TurnConfig
from pipeline.vad import VadConfig


@dataclass(frozen=True, slots=True)
class Engines:
    """The process's engines, shared by all sessions."""

    vad: VoiceActivity
    stt: SpeechToText
    agent: Agent
    tts: TextToSpeech


@dataclass(frozen=True, slots=True)
class Lines:
    """What the gateway itself says when no agent can. Keys of ``fixed`` are reply kinds."""

    fixed: Mapping[str, str] = field(
        default_factory=lambda: {
            "apology": "I'm sorry, something went wrong on my side. Could you say that again?",
            "unheard": "Sorry, I didn't catch that. Could you say it again?",
            "farewell": "I can't hear you any more, so I'll hang up now. Goodbye.",
        }
    )
    fillers: Sequence[str] = ("One moment, please.", "I'm still looking into it.")


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Settings that all sessions of a process share."""

    turn: TurnConfig = field(default_factory=TurnConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    pre_roll_ms: int = 240
    """Audio before the first voiced sample that speech to text gets: soft consonants begin before voice activity."""
    language: str = "en"
    voice: str = ""
    voices: Mapping[str, str] = field(default_factory=dict)
    """Name of an agent -> its voice, where that is not ``voice``."""
    playout_ms: int = 2000
    """Synthesised audio that may wait for its turn to be heard."""
    clip_playout_ms: int = 30_000
    """The same for transports that take whole phrases."""
    lines: Lines = field(default_factory=Lines)
    allowance: Allowance = field(default_factory=Allowance)
    """What the process can afford at the moment."""

    def voice_of(self, agent: str) -> str:
        """The voice of an agent, by its name."""
        return self.voices.get(agent, self.voice)


@dataclass(frozen=True, slots=True)
class Memory:
    """What an earlier process left of the conversation."""

    history: Sequence[Message] = ()
    first_turn: int = 1
    agent: str = ""
    interrupted: bool = False
    """The agent owed an answer, or was cut in the middle of one."""
    muted: bool = False
    """The caller was not to be heard."""


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """What is particular to one session."""

    transport: str
    output_rate_hz: int
    clips: bool = False
    confirms: bool = False
    """The transport takes frames ahead of the ear and says what became audible."""
    opening: Literal["greeting", "resume"] | None = "greeting"
    resumed: bool = False
    agent: str = ""
    input_format: str = ""
    output_format: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    control: CallControl | None = None
    """What the agent may do with the call."""
    record: Callable[[TurnEvent], None] | None = None
    """Gets every event of the turn machine before it is handled, so that the call can be replayed
    (:mod:`pipeline.replay`). Must not raise."""
