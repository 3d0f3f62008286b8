"""The part of the settings that is about Vonage, Genesys, and exchanges of one's own."""

from gateway.phone.asterisk.carrier import AsteriskConfig, asterisk
from gateway.phone.audiosocket.carrier import audiosocket
from gateway.phone.audiosocket.config import AudioSocketConfig
from gateway.phone.freeswitch.carrier import FreeswitchConfig, freeswitch
from gateway.phone.genesys.carrier import GenesysConfig, genesys
from gateway.phone.jambonz.carrier import JambonzConfig, jambonz
from gateway.phone.protocol import Carrier
from gateway.phone.vonage.carrier import VonageConfig, vonage
from voicegate.settings import Settings


def exchange_carriers(settings: Settings) -> tuple[Carrier, ...]:
    """Those with a WebSocket. Raises ConfigError for what is wrong in the settings."""
    return (
        vonage(
            VonageConfig(
                _listed(settings.vonage_signature_secrets.get_secret_value()),
                settings.vonage_rate_hz,
                settings.vonage_payload_hash,
            )
        ),
        genesys(
            GenesysConfig(
                settings.genesys_keys.get_secret_value(), settings.genesys_unsigned, settings.genesys_packet_ms
            )
        ),
        jambonz(
            JambonzConfig(
                settings.jambonz_credentials.get_secret_value(),
                settings.jambonz_streaming,
                settings.jambonz_output_rate_hz,
                settings.jambonz_marks,
            )
        ),
        freeswitch(
            FreeswitchConfig(
                settings.freeswitch_credentials.get_secret_value(),
                settings.freeswitch_rate_hz,
                settings.freeswitch_playback,
                settings.freeswitch_clip_ms,
                settings.freeswitch_fork_streaming,
            )
        ),
        asterisk(
            AsteriskConfig(
                settings.asterisk_credentials.get_secret_value(),
                settings.asterisk_answer,
                settings.asterisk_buffering,
                settings.asterisk_format,
            )
        ),
    )


def audiosocket_carriers(settings: Settings) -> tuple[Carrier, ...]:
    """AudioSocket, where it is switched on: the answer that hands out UUIDs."""
    config = audiosocket_config(settings)
    return () if config is None else (audiosocket(config),)


def audiosocket_config(settings: Settings) -> AudioSocketConfig | None:
    """None: it is switched off. Raises ConfigError for what is wrong in the settings."""
    if not settings.audiosocket:
        return None
    return AudioSocketConfig(
        settings.audiosocket_host,
        settings.audiosocket_port,
        settings.audiosocket_open,
        settings.audiosocket_credentials.get_secret_value(),
        settings.audiosocket_rate_hz,
        settings.audiosocket_types,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
