"""Settings of WebRTC, and which addresses they lead to."""

import ipaddress

import pytest

from gateway.webrtc.addresses import media_addresses, media_ports
from gateway.webrtc.config import WebRtcConfig
from voicegate.kernel.errors import ConfigError
from voicegate.settings import load
from voicegate.webrtc import webrtc_settings


def test_the_gateways_own_address_is_the_medias() -> None:
    assert media_addresses(WebRtcConfig(), "127.0.0.1") == ("127.0.0.1",)
    assert media_addresses(WebRtcConfig(), "localhost") == ("127.0.0.1",)
    assert media_addresses(WebRtcConfig(), "192.0.2.5") == ("192.0.2.5",)
    assert media_addresses(WebRtcConfig(hosts=("192.0.2.6", "::1")), "127.0.0.1") == ("192.0.2.6", "::1")


def test_everywhere_is_every_interface_but_loopback_and_link_local() -> None:
    found = media_addresses(WebRtcConfig(), "0.0.0.0")
    assert found
    for address in map(ipaddress.ip_address, found):
        assert not address.is_link_local
    assert len(found) == 1 or "127.0.0.1" not in found


def test_ports() -> None:
    assert media_ports(WebRtcConfig(), 12345) == (0,)
    assert media_ports(WebRtcConfig(ports=(40000, 40002)), 4) == (40001, 40002, 40000)


def test_loopback_is_checked_only_where_the_gateway_is() -> None:
    assert WebRtcConfig().policy("127.0.0.1").allow_loopback
    assert not WebRtcConfig().policy("0.0.0.0").allow_loopback
    assert WebRtcConfig(allow_loopback=True).policy("0.0.0.0").allow_loopback


@pytest.mark.parametrize(
    "given",
    [
        {"ports": (1, 0)},
        {"ports": (0, 7)},
        {"ports": (9, 8)},
        {"ports": (1, 70000)},
        {"ice_servers": ("http://example.com",)},
        {"ice_servers": ("turn:host name",)},
        {"hosts": ("example.com",)},
        {"public_address": "everywhere"},
    ],
)
def test_what_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        WebRtcConfig(**given)  # type: ignore[arg-type]


def test_from_the_settings() -> None:
    config = webrtc_settings(
        load(
            webrtc_hosts="192.0.2.1, ::1",
            webrtc_ports="40000-40100",
            webrtc_public_address="198.51.100.1",
            webrtc_allow_loopback=True,
            webrtc_denied="10.0.0.0/8,fd00::/8",
            ice_servers="stun:stun.example.com:3478, turn:turn.example.com:3478?transport=tcp",
            turn_secret="a shared secret",
        )
    )
    assert config.hosts == ("192.0.2.1", "::1")
    assert config.ports == (40000, 40100)
    assert [str(network) for network in config.denied] == ["10.0.0.0/8", "fd00::/8"]
    assert len(config.ice_servers) == 2
    assert "a shared secret" not in repr(config)
    assert webrtc_settings(load()) == WebRtcConfig()


@pytest.mark.parametrize("given", [{"webrtc_denied": "ten"}, {"webrtc_ports": "9-8"}, {"ice_servers": "x"}])
def test_settings_that_are_wrong_are_named(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="VOICEGATE_"):
        webrtc_settings(load(**given))
