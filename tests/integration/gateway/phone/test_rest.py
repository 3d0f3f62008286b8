"""Carriers' REST APIs: real clients against a small real server that answers as the vendors do."""

from collections.abc import AsyncIterator

import pytest

from gateway.phone.plivo.api import PlivoApi
from gateway.phone.plivo.carrier import PlivoConfig
from gateway.phone.rest import CarrierApi
from gateway.phone.telnyx.api import TelnyxApi
from gateway.phone.telnyx.carrier import TelnyxConfig
from gateway.phone.twilio.api import TwilioApi
from gateway.phone.twilio.carrier import TwilioConfig
from tests.vendors.carrier_rest import ACCOUNT, KEY, SECRET, CarrierRest, carrier_rest
from voicegate.kernel.errors import ProviderError, ProviderRefused

DIAL = "https://gate.example.com/phone/plivo/dial/t0k"
ALL = ["twilio", "telnyx", "plivo"]
CALL = "v3:CA/1"


@pytest.fixture
async def rest() -> AsyncIterator[CarrierRest]:
    async with carrier_rest() as running:
        yield running


def api(carrier: str, url: str, secret: str | None = None) -> CarrierApi:
    match carrier:
        case "twilio":
            return TwilioApi(TwilioConfig(ACCOUNT, secret or SECRET, url))
        case "telnyx":
            return TelnyxApi(TelnyxConfig(api_key=secret or KEY, api_url=url + "/"))
        case _:
            return PlivoApi(PlivoConfig(ACCOUNT, secret or SECRET, url))


@pytest.mark.parametrize(
    ("carrier", "ended", "handed_on"),
    [
        ("twilio", {"Status": "completed"}, {"Twiml": "<Response><Dial>+15559</Dial></Response>"}),
        ("telnyx", {"action": "hangup"}, {"action": "transfer", "to": "+15559"}),
        ("plivo", {"action": "hangup"}, {"legs": "aleg", "aleg_url": DIAL, "aleg_method": "POST"}),
    ],
)
async def test_what_is_asked(rest: CarrierRest, carrier: str, ended: dict[str, str], handed_on: dict[str, str]) -> None:
    client = api(carrier, rest.url)
    await client.hang_up(CALL)
    await client.transfer(CALL, "+15559", dial_url=DIAL)
    assert rest.asked == [(carrier, CALL, ended), (carrier, CALL, handed_on)]


@pytest.mark.parametrize("carrier", ALL)
async def test_a_call_that_has_ended_need_not_be_ended_and_cannot_be_handed_on(rest: CarrierRest, carrier: str) -> None:
    rest.ended.add(CALL)
    await api(carrier, rest.url).hang_up(CALL)
    with pytest.raises(ProviderRefused):
        await api(carrier, rest.url).transfer(CALL, "+15559", dial_url=DIAL)


@pytest.mark.parametrize("carrier", ALL)
async def test_wrong_credentials_and_a_broken_api_are_told_apart(rest: CarrierRest, carrier: str) -> None:
    with pytest.raises(ProviderRefused, match="401"):
        await api(carrier, rest.url, "wrong").hang_up(CALL)
    rest.broken = True
    with pytest.raises(ProviderError, match="500") as raised:
        await api(carrier, rest.url).hang_up(CALL)
    assert raised.value.retryable
    with pytest.raises(ProviderError) as raised:
        await api(carrier, "http://127.0.0.1:1").hang_up(CALL)
    assert raised.value.retryable
