"""The part of the settings that is about Vonage, Genesys, and exchanges of one's own."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from gateway.phone.asterisk.carrier import AsteriskConfig, asterisk
from gateway.phone.audiosocket.carrier import audiosocket
from gateway.phone.audiosocket.config import AudioSocketConfig
from gateway.phone.freeswitch.carrier import FreeswitchConfig, freeswitch
from gateway.phone.genesys.carrier import GenesysConfig, genesys
from gateway.phone.jambonz.carrier import JambonzConfig, jambonz
from gateway.phone.protocol import Carrier
from gateway.phone.vonage.carrier import VonageConfig, vonage
from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings

_Made = TypeVar("_Made")
_PREFIX = "VOICEGATE_"


def exchange_carriers(settings: Settings) -> tuple[Carrier, ...]:
    """Those with a WebSocket.

    Raises:
        ConfigError: a setting is wrong; the message names those that it may be.
    """
    makers = {
        "vonage": _vonage,
        "genesys": _genesys,
        "jambonz": _jambonz,
        "freeswitch": _freeswitch,
        "asterisk": _asterisk,
    }
    return tuple(_named(name, partial(make, settings)) for name, make in makers.items())


def _vonage(settings: Settings) -> Carrier:
    secrets = _listed(settings.vonage_signature_secrets.get_secret_value())
    return vonage(VonageConfig(secrets, settings.vonage_rate_hz, settings.vonage_payload_hash))


def _genesys(settings: Settings) -> Carrier:
    keys = settings.genesys_keys.get_secret_value()
    return genesys(GenesysConfig(keys, settings.genesys_unsigned, settings.genesys_packet_ms))


def _jambonz(settings: Settings) -> Carrier:
    config = JambonzConfig(
        settings.jambonz_credentials.get_secret_value(),
        settings.jambonz_streaming,
        settings.jambonz_output_rate_hz,
        settings.jambonz_marks,
    )
    return jambonz(config)


def _freeswitch(settings: Settings) -> Carrier:
    config = FreeswitchConfig(
        settings.freeswitch_credentials.get_secret_value(),
        settings.freeswitch_rate_hz,
        settings.freeswitch_playback,
        settings.freeswitch_clip_ms,
        settings.freeswitch_fork_streaming,
    )
    return freeswitch(config)


def _asterisk(settings: Settings) -> Carrier:
    config = AsteriskConfig(
        settings.asterisk_credentials.get_secret_value(),
        settings.asterisk_answer,
        settings.asterisk_buffering,
        settings.asterisk_format,
    )
    return asterisk(config)


def audiosocket_carriers(settings: Settings) -> tuple[Carrier, ...]:
    """AudioSocket, where it is switched on: the answer that hands out UUIDs."""
    config = audiosocket_config(settings)
    return () if config is None else (audiosocket(config),)


def audiosocket_config(settings: Settings) -> AudioSocketConfig | None:
    """None: it is switched off. Raises ConfigError as :func:`exchange_carriers`."""
    if not settings.audiosocket:
        return None
    return _named("audiosocket", partial(_audiosocket, settings))


def _audiosocket(settings: Settings) -> AudioSocketConfig:
    return AudioSocketConfig(
        settings.audiosocket_host,
        settings.audiosocket_port,
        settings.audiosocket_open,
        settings.audiosocket_credentials.get_secret_value(),
        settings.audiosocket_rate_hz,
        settings.audiosocket_types,
    )


def _named(carrier: str, make: Callable[[], _Made]) -> _Made:
    try:
        return make()
    except ConfigError as error:
        raise ConfigError(f"{error} ({_PREFIX}{carrier.upper()}_...)") from error


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
