"""jambonz, configured."""

import uuid
from dataclasses import dataclass, field

from gateway.phone.credentials import vouched
from gateway.phone.jambonz.protocol import RATES_HZ, SUBPROTOCOLS, ListenOptions, ListenProtocol
from gateway.phone.protocol import Carrier
from voicegate.kernel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class JambonzConfig:
    credentials: str = field(default="", repr=False)
    """``user:password`` of the verb's ``wsAuth``."""
    streaming: bool = True
    """The verb has ``bidirectionalAudio.streaming``."""
    output_rate_hz: int = 0
    """The verb's ``bidirectionalAudio.sampleRate``; 0: that of the caller's audio."""
    marks: bool = True

    def __post_init__(self) -> None:
        if self.output_rate_hz not in (0, *RATES_HZ):
            raise ConfigError(f"jambonz takes audio at {RATES_HZ} Hz, or 0 for the caller's rate")


def jambonz(config: JambonzConfig) -> Carrier:
    options = ListenOptions(streaming=config.streaming, output_rate_hz=config.output_rate_hz, marks=config.marks)
    return Carrier(
        options.name,
        open=lambda _upgrade: ListenProtocol(options, str(uuid.uuid4())),
        vouch=lambda upgrade, _now_s: vouched(upgrade.headers, config.credentials),
        subprotocols=SUBPROTOCOLS,
        guarded=bool(config.credentials),
    )
