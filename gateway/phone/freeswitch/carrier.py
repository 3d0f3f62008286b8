"""FreeSWITCH, configured: ``mod_audio_stream``, or ``mod_audio_fork`` where its subprotocol is offered."""

import uuid
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.phone.credentials import vouched
from gateway.phone.fields import query_in
from gateway.phone.freeswitch.protocol import NAME, RATES_HZ, Address, StreamOptions, StreamProtocol
from gateway.phone.jambonz.protocol import SUBPROTOCOLS as FORK_SUBPROTOCOLS
from gateway.phone.jambonz.protocol import ListenOptions, ListenProtocol
from gateway.phone.protocol import Carrier, PhoneProtocol, Upgrade
from voicegate.kernel.errors import ConfigError

SUBPROTOCOLS: Final = (*FORK_SUBPROTOCOLS, "audiostream.drachtio.org")


@dataclass(frozen=True, slots=True)
class FreeswitchConfig:
    credentials: str = field(default="", repr=False)
    """``user:password``, sent as a header (``STREAM_EXTRA_HEADERS``)."""
    rate_hz: int = 8_000
    """``sampling-rate`` of ``uuid_audio_stream`` and ``uuid_audio_fork``, where nothing on the wire tells it."""
    playback: Literal["raw", "wav", "binary"] = "raw"
    """How ``mod_audio_stream`` gets our audio."""
    clip_ms: int = 200
    fork_streaming: bool = True
    """``mod_audio_fork`` takes binary audio back; False: in clips."""

    def __post_init__(self) -> None:
        if self.rate_hz not in RATES_HZ:
            raise ConfigError(f"FreeSWITCH streams at {RATES_HZ} Hz, not at {self.rate_hz}")
        if not 40 <= self.clip_ms <= 1_000 or self.clip_ms % 20:
            raise ConfigError(f"a clip has 40 to 1000 ms, in steps of 20, not {self.clip_ms}")


def freeswitch(config: FreeswitchConfig) -> Carrier:
    stream = StreamOptions(config.rate_hz, config.playback, config.clip_ms)
    fork = ListenOptions(
        name=NAME,
        streaming=config.fork_streaming,
        input_rate_hz=config.rate_hz,
        marks=False,
        clip_ms=config.clip_ms,
    )

    def open_protocol(upgrade: Upgrade) -> PhoneProtocol:
        call_id = str(uuid.uuid4())
        if offered(upgrade).intersection(SUBPROTOCOLS):
            return ListenProtocol(fork, call_id)
        return StreamProtocol(stream, Address(call_id, query_in(upgrade.query)))

    return Carrier(
        NAME,
        open=open_protocol,
        vouch=lambda upgrade, _now_s: vouched(upgrade.headers, config.credentials),
        subprotocols=SUBPROTOCOLS,
        guarded=bool(config.credentials),
    )


def offered(upgrade: Upgrade) -> set[str]:
    """The subprotocols of the upgrade."""
    return {each.strip() for each in upgrade.headers.get("sec-websocket-protocol", "").split(",")}
