"""What a connection that is closed leaves for the collector, which stops all calls while it works: nothing."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.phone.driver import PhoneDriver
from gateway.phone.hearing import Hearing
from gateway.phone.mouth import Mouth
from gateway.websocket.full import FullDriver
from tests.integration.gateway.conftest import EchoCalls
from tests.integration.gateway.phone.ringing import ringing, soon
from tests.integration.gateway.phone.wire_talk import GUARDED, STREAM_SIGNATURE, connected, start, token_of, webhook
from tests.integration.gateway.phone.wire_talk import say as send
from tests.integration.gateway.test_full_profile import call, hear_until, say
from voicegate.kernel.errors import RefusedCall

_earlier: list[object] = []
"""What other tests of this process left; held, so that their ids are not used again."""


@pytest.fixture(autouse=True)
def _without_the_collector() -> Iterator[None]:
    gc.collect()
    _earlier[:] = alive(FullDriver, PhoneDriver, Mouth, Hearing, RefusedCall)
    gc.disable()
    yield
    gc.enable()
    _earlier.clear()


def alive(*kinds: type) -> list[object]:
    """Of these, those that this test has made."""
    known = set(map(id, _earlier))
    return [each for each in gc.get_objects() if type(each) in kinds and id(each) not in known]


def forget(calls: EchoCalls) -> None:
    """Calls that are over drop whom they told; these would be kept for the tests."""
    for each in calls.calls.values():
        each._ready = each._stop = each._deliver = None
    calls.calls.clear()


async def test_a_client_by_websocket(start: Any) -> None:
    async with start() as served:
        async with call(served) as socket:
            await say(socket, "session.start")
            await hear_until(socket, "session.started")
            await socket.send(bytes(640))
            assert alive(FullDriver)
        forget(served.calls)
        await soon(lambda: not alive(FullDriver))


async def test_a_phone() -> None:
    fields = {"CallSid": "CA1", "From": "+15551", "To": "+15552", "CallStatus": "ringing", "Direction": "inbound"}
    async with ringing(**GUARDED) as gateway:
        _, twiml = await webhook(gateway, fields)
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await send(socket, start(token_of(twiml)))
            await gateway.answered()
            await soon(lambda: bool(alive(Hearing)))
        forget(gateway.calls)
        await soon(lambda: not alive(PhoneDriver, Mouth, Hearing))


async def test_a_forged_webhook_in_development_mode() -> None:
    fields = {"CallSid": "CA1", "From": "+15551", "CallStatus": "ringing", "Direction": "inbound"}
    async with ringing() as gateway:
        status, _ = await webhook(gateway, fields, signature="")
        assert status == 200
        await soon(lambda: not alive(RefusedCall))
