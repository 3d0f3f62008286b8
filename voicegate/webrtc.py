"""WebRTC's part of the settings."""

import ipaddress

from gateway.webrtc.candidates import Network
from gateway.webrtc.config import WebRtcConfig
from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings


def webrtc_settings(settings: Settings) -> WebRtcConfig:
    """Raises ConfigError for what is no address, network, port range or server."""
    first, _, last = settings.webrtc_ports.partition("-")
    try:
        return WebRtcConfig(
            hosts=_listed(settings.webrtc_hosts),
            ports=(int(first or 0), int(last or 0)),
            public_address=settings.webrtc_public_address.strip(),
            allow_loopback=settings.webrtc_allow_loopback,
            denied=tuple(map(_network, _listed(settings.webrtc_denied))),
            ice_servers=_listed(settings.ice_servers),
            turn_secret=settings.turn_secret.get_secret_value(),
        )
    except ConfigError as error:
        raise ConfigError(f"{error} (VOICEGATE_WEBRTC_..., VOICEGATE_ICE_SERVERS)") from error


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(f"VOICEGATE_WEBRTC_DENIED: {text!r} is no network, such as 10.0.0.0/8") from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
