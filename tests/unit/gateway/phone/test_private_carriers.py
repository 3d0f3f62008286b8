"""Six carriers, configured: how each opens a connection, and what its upgrade proves."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from gateway.phone.asterisk.carrier import AsteriskConfig, asterisk
from gateway.phone.freeswitch.carrier import FreeswitchConfig, freeswitch
from gateway.phone.freeswitch.protocol import StreamProtocol
from gateway.phone.genesys.carrier import GenesysConfig, genesys
from gateway.phone.jambonz.carrier import JambonzConfig, jambonz
from gateway.phone.jambonz.protocol import ListenProtocol
from gateway.phone.messages import Began, Once
from gateway.phone.protocol import Carrier, Upgrade
from gateway.phone.vonage.carrier import VonageConfig, vonage
from voicegate.client.carriers import signatures
from voicegate.kernel.errors import ConfigError, RefusedCall

NOW = 1_700_000_000
SECRET = base64.b64encode(b"a client secret").decode()
IDS = {
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": "key-1",
}
BASIC = {"authorization": "Basic " + base64.b64encode(b"pbx:password").decode()}


def began(carrier: Carrier, upgrade: Upgrade, message: str | bytes) -> Began:
    protocol = carrier.open(upgrade)
    steps = protocol.receive_text(message) if isinstance(message, str) else protocol.receive_binary(message)
    (found,) = [step for step in steps if isinstance(step, Began)]
    return found


def test_a_signed_upgrade_of_genesys_is_good_once() -> None:
    carrier = genesys(GenesysConfig(f"key-1:{SECRET}"))
    url = "wss://v.example/phone/genesys"
    proof = signatures.genesys(SECRET, IDS, url, key="key-1", nonce="n" * 24, created=NOW)
    headers = {**IDS, **{name.lower(): value for name, value in proof.items()}}
    upgrade = Upgrade("/phone/genesys", headers=headers, authority="v.example")
    assert carrier.vouch(upgrade, NOW) == Once("genesys:key-1:" + "n" * 24, NOW + 17)
    with pytest.raises(RefusedCall):
        carrier.vouch(Upgrade("/phone/genesys", headers=IDS), NOW)


def test_a_key_without_a_secret_must_be_allowed() -> None:
    carrier = genesys(GenesysConfig("key-1:", unsigned=True))
    assert carrier.vouch(Upgrade("/phone/genesys", headers=IDS), NOW) is True
    with pytest.raises(ConfigError):
        genesys(GenesysConfig("key-1:"))


def test_genesys_without_keys_proves_nothing() -> None:
    assert genesys(GenesysConfig()).vouch(Upgrade("/phone/genesys", headers=IDS), NOW) is False


def test_the_ids_of_genesys_upgrade_are_those_of_its_session() -> None:
    protocol = genesys(GenesysConfig()).open(Upgrade("/phone/genesys", headers=IDS))
    (last_words,) = protocol.refused("busy")
    assert IDS["audiohook-session-id"].encode() in last_words.data


def test_vonages_upgrade_proves_nothing() -> None:
    carrier = vonage(VonageConfig())
    assert carrier.vouch(Upgrade("/phone/vonage"), NOW) is False
    connected = '{"event":"websocket:connected","content-type":"audio/l16;rate=8000"}'
    ids = {began(carrier, Upgrade("/phone/vonage"), connected).call.call_id for _ in range(2)}
    assert len(ids) == 2  # a call that nobody named gets a name of its own


@pytest.mark.parametrize(
    "carrier",
    [
        jambonz(JambonzConfig("pbx:password")),
        freeswitch(FreeswitchConfig("pbx:password")),
        asterisk(AsteriskConfig("pbx:password")),
    ],
    ids=lambda carrier: str(carrier.name),
)
def test_private_exchanges_authenticate(carrier: Carrier) -> None:
    assert carrier.vouch(Upgrade("/phone/x", headers=BASIC), NOW) is True
    with pytest.raises(RefusedCall):
        carrier.vouch(Upgrade("/phone/x"), NOW)


@pytest.mark.parametrize(
    "make",
    [lambda: jambonz(JambonzConfig()), lambda: freeswitch(FreeswitchConfig()), lambda: asterisk(AsteriskConfig())],
)
def test_without_credentials_a_token_is_needed(make: Callable[[], Carrier]) -> None:
    assert make().vouch(Upgrade("/phone/x", headers=BASIC), NOW) is False


def test_jambonz_opens() -> None:
    found = began(jambonz(JambonzConfig(output_rate_hz=16_000)), Upgrade("/phone/jambonz"), '{"callSid":"c"}')
    assert (found.call.provider, str(found.spoken)) == ("jambonz", "pcm16/16000")


def test_freeswitch_opens_what_the_subprotocol_asks_for() -> None:
    carrier = freeswitch(FreeswitchConfig())
    fork = Upgrade("/phone/freeswitch", headers={"sec-websocket-protocol": "x, audio.drachtio.org"})
    assert isinstance(carrier.open(fork), ListenProtocol)
    stream = Upgrade("/phone/freeswitch", "uuid=u-1&rate=16000")
    assert isinstance(carrier.open(stream), StreamProtocol)
    found = began(carrier, stream, b"\0\0")
    assert (found.call.call_id, str(found.heard)) == ("u-1", "pcm16/16000")


def test_asterisk_opens() -> None:
    start = "MEDIA_START channel_id:1.1 format:slin16 optimal_frame_size:640 ptime:20"
    found = began(asterisk(AsteriskConfig()), Upgrade("/phone/asterisk", "caller=7&tier=gold"), start)
    assert (found.call.caller, found.call.parameters) == ("7", {"tier": "gold"})


@pytest.mark.parametrize(
    "config",
    [
        (VonageConfig, {"rate_hz": 44_100}),
        (GenesysConfig, {"packet_ms": 30}),
        (GenesysConfig, {"packet_ms": 2000}),
        (JambonzConfig, {"output_rate_hz": 64_000}),
        (FreeswitchConfig, {"rate_hz": 24_000}),
        (FreeswitchConfig, {"clip_ms": 50}),
        (AsteriskConfig, {"format": "opus"}),
    ],
)
def test_a_wrong_setting_stops_the_start(config: tuple[Any, dict[str, Any]]) -> None:
    kind, values = config
    with pytest.raises(ConfigError):
        kind(**values)
