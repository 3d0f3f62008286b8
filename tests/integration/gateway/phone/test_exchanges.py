"""A whole call on each carrier: both sides heard, keys, a barge-in, and the end, by either side."""

from typing import Any

import pytest

from tests.integration.gateway.phone.ringing import is_interrupted, ringing, say, soon, talks_and_listens
from voicegate.client.carriers.phone import PhoneCall

ALL = ["vonage", "genesys", "jambonz", "freeswitch", "asterisk", "audiosocket"]
KEYS: dict[str, list[str]] = {"freeswitch": []}
"""What arrives of two keys, where it is not both."""
STOPS_S = 1.0
"""Of eight seconds that are said; with room for a machine that stalls (``benchmarks.phone_bargein`` measures)."""
GOODBYE = {
    "jambonz": ["the gateway hung up"],
    "asterisk": ["the gateway hung up"],
    "audiosocket": ["the gateway hung up", "the gateway closed the connection"],
    "genesys": ["the call is closed", "the gateway closed the stream with code 1000"],
}
"""Last words, or where the close may overtake them on the simulated wire, either."""


@pytest.mark.parametrize("via", ALL)
async def test_a_whole_call(via: str) -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway, PhoneCall(gateway.target(via)) as phone:
        call = await gateway.answered()
        assert call.request.transport == via
        await talks_and_listens(phone, call)
        await is_interrupted(phone, call, within_s=STOPS_S)
        phone.press("1#")
        wanted = KEYS.get(via, ["key 1", "key #"])
        await soon(lambda: [entry for entry in call.log if entry.startswith("key")] == wanted)
        assert not phone.dropped, "the carrier could not use what was sent"
        await phone.hang_up()
        await soon(lambda: call.log[-1:] == ["hang_up caller"])


@pytest.mark.parametrize("via", ALL)
async def test_the_agent_hangs_up(via: str) -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway, PhoneCall(gateway.target(via)) as phone:
        call = await gateway.answered()
        say(call, 0.2)
        await soon(lambda: phone.tape.agent_end > 0)
        call.end("agent")
        await phone.until(lambda: phone.failure is not None, 10.0, broken=False)
        assert phone.failure in GOODBYE.get(via, ["the gateway closed the stream with code 1000"])


@pytest.mark.parametrize(
    ("via", "form", "rates"),
    [
        ("jambonz", "16000", (16_000, 16_000)),
        ("freeswitch", "16000", (16_000, 16_000)),
        ("asterisk", "slin16", (16_000, 16_000)),
        ("asterisk", "alaw", (8_000, 8_000)),
    ],
)
async def test_other_formats(via: str, form: str, rates: tuple[int, int]) -> None:
    settings: dict[str, Any] = {"freeswitch_rate_hz": 16_000} if via == "freeswitch" else {}
    async with ringing(**settings) as gateway, PhoneCall(gateway.target(via, format=form)) as phone:
        call = await gateway.answered()
        assert (phone.rate_hz, call.request.output_rate_hz) == rates
        await talks_and_listens(phone, call)


@pytest.mark.parametrize("rate_hz", [8_000, 24_000])
async def test_other_rates_of_vonage(rate_hz: int) -> None:
    async with ringing(vonage_rate_hz=rate_hz) as gateway, PhoneCall(gateway.target("vonage")) as phone:
        call = await gateway.answered()
        assert phone.rate_hz == call.request.output_rate_hz == rate_hz
        await talks_and_listens(phone, call)


async def test_what_the_agent_learns_of_a_call() -> None:
    async with (
        ringing() as gateway,
        PhoneCall(gateway.target("genesys", caller="+1777", parameters={"tier": "gold"})),
        PhoneCall(gateway.target("asterisk", caller="+1888", parameters={"caller": "+1999"})),
    ):
        await gateway.answered(2)
        contexts = {call.request.transport: call.request.context for call in gateway.calls.calls.values()}
        assert contexts["genesys"]["caller"] == "+1777"
        assert contexts["genesys"]["tier"] == "gold"
        assert contexts["asterisk"]["caller"] == "+1999"
