"""Asterisk's WebSocket channel, configured."""

from dataclasses import dataclass, field

from gateway.phone.asterisk.protocol import FORMATS, NAME, SUBPROTOCOL, Address, AsteriskProtocol, ChannelOptions
from gateway.phone.credentials import vouched
from gateway.phone.fields import query_in
from gateway.phone.protocol import Carrier
from voicegate.kernel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AsteriskConfig:
    credentials: str = field(default="", repr=False)
    """``user:password`` of ``websocket_client.conf``."""
    answer: bool = False
    """We answer the channel (dial option ``n``)."""
    buffering: bool = False
    """Use ``START_MEDIA_BUFFERING``."""
    format: str = "ulaw"
    """Format of channels that do not tell it."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"the Asterisk format is one of {', '.join(FORMATS)}, not {self.format!r}")


def asterisk(config: AsteriskConfig) -> Carrier:
    options = ChannelOptions(config.answer, config.buffering, config.format)
    return Carrier(
        NAME,
        open=lambda upgrade: AsteriskProtocol(options, Address(query_in(upgrade.query))),
        vouch=lambda upgrade, _now_s: vouched(upgrade.headers, config.credentials),
        subprotocols=(SUBPROTOCOL,),
        guarded=bool(config.credentials),
    )
