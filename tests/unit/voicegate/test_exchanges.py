"""The settings of private exchanges become carriers; what is wrong in them is named."""

import base64
from typing import Any

import pytest

from gateway.phone.messages import Began
from gateway.phone.protocol import Upgrade
from voicegate.exchanges import audiosocket_carriers, audiosocket_config, exchange_carriers
from voicegate.kernel.errors import ConfigError
from voicegate.settings import load

SECRET = base64.b64encode(b"0123456789abcdef").decode()


def test_all_of_them() -> None:
    carriers = exchange_carriers(load())
    assert [carrier.name for carrier in carriers] == ["vonage", "genesys", "jambonz", "freeswitch", "asterisk"]
    assert not any(carrier.guarded for carrier in carriers)


def test_a_secret_guards() -> None:
    secrets: dict[str, Any] = {
        "vonage_signature_secrets": "a-signature-secret, the-next-signature-secret",
        "genesys_keys": f"key:{SECRET}",
        "jambonz_credentials": "user:password",
        "freeswitch_credentials": "user:password",
        "asterisk_credentials": "user:password",
    }
    assert all(carrier.guarded for carrier in exchange_carriers(load(**secrets)))


def test_what_shows_on_the_wire() -> None:
    settings: dict[str, Any] = {
        "vonage_rate_hz": 24_000,
        "genesys_packet_ms": 100,
        "jambonz_streaming": False,
        "freeswitch_rate_hz": 16_000,
        "freeswitch_clip_ms": 300,
        "asterisk_format": "alaw",
    }
    carriers = {carrier.name: carrier for carrier in exchange_carriers(load(**settings))}
    upgrade = Upgrade("/phone/x", "uuid=u")
    assert carriers["genesys"].open(upgrade).traits.packet_ms == 100
    assert carriers["jambonz"].open(upgrade).traits.packet_ms == 200
    stream = carriers["freeswitch"].open(upgrade)
    assert stream.traits.packet_ms == 300
    (began, _) = stream.receive_binary(b"\0\0")
    assert isinstance(began, Began)
    assert str(began.heard) == "pcm16/16000"
    (began,) = carriers["asterisk"].open(upgrade).receive_text("MEDIA_START channel:c optimal_frame_size:160")
    assert isinstance(began, Began)
    assert str(began.heard) == "pcma/8000"


@pytest.mark.parametrize(
    "name", ["vonage_rate_hz", "freeswitch_rate_hz", "jambonz_output_rate_hz", "audiosocket_rate_hz"]
)
def test_rates_come_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"VOICEGATE_{name.upper()}", "16000")
    assert getattr(load(), name) == 16_000
    monkeypatch.setenv(f"VOICEGATE_{name.upper()}", "16001")
    with pytest.raises(ConfigError, match=name.upper()):
        load()


def test_audiosocket_is_off_by_default_and_on_loopback() -> None:
    assert audiosocket_config(load()) is None
    assert audiosocket_carriers(load()) == ()
    config = audiosocket_config(load(audiosocket=True))
    assert config is not None
    assert (config.host, config.port, config.open) == ("127.0.0.1", 9092, False)
    (carrier,) = audiosocket_carriers(load(audiosocket=True, audiosocket_credentials="user:password"))
    assert (carrier.name, carrier.guarded) == ("audiosocket", True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vonage_signature_secrets", "short"),
        ("genesys_keys", "api-xyz"),
        ("genesys_keys", "api-xyz:"),
        ("audiosocket_types", "0x00=8000"),
        ("audiosocket_types", "0x12=16000"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    settings: dict[str, Any] = {"audiosocket": True, name: value}
    with pytest.raises(ConfigError, match=f"VOICEGATE_{name.split('_')[0].upper()}_") as error:
        (exchange_carriers(load(**settings)), audiosocket_config(load(**settings)))
    assert value not in str(error.value) or name == "audiosocket_types", "a secret is in the message"
