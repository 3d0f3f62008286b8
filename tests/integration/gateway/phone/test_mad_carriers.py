"""Damaged messages of every carrier: the gateway answers or closes, stays alive, and another call hears nothing of it.

``python -m benchmarks.phone_mutations`` sends 10,000 a carrier.
"""

import io
import random

import aiohttp
import numpy as np
import pytest

from benchmarks.phone_attack import attack, damaged, mad, transcript
from tests.integration.gateway.phone.ringing import QUIET, ringing, say, soon, voiced
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PHONES, PhoneTarget, PhoneVia

MESSAGES = 150
SECONDS = 20.0
CLOSES = {"open", "line", "1000", "1001", "1002", "1003", "1006", "1007", "1008", "1009", "4429", "None"}
"""``1006`` and ``None``: the connection broke while the mad carrier was still sending."""


@pytest.mark.parametrize("via", PHONES)
async def test_a_mad_carrier(via: PhoneVia, logged: io.StringIO) -> None:
    async with ringing(audiosocket=True, audiosocket_open=True) as gateway:
        async with PhoneCall(gateway.target("asterisk")) as bystander:
            call = await gateway.answered()
            say(call, SECONDS)
            await soon(lambda: bystander.tape.agent_end > 0)
            result = await attack(via, gateway.target(via).url, MESSAGES, seed=PHONES.index(via))
            await bystander.wait_s(0.2)
            heard = bystander.tape.agent()[: bystander.tape.agent_end]
            heard = heard[int(np.argmax(np.abs(heard) > QUIET)) :]
            assert voiced(heard) * 160 >= 0.7 * heard.size, "the bystander suffered"
            assert bystander.failure is None
        assert result.messages >= MESSAGES
        assert set(result.endings) <= CLOSES, result.endings
        async with aiohttp.ClientSession() as http, http.get(f"{gateway.http}/health") as response:
            assert response.status == 200
        assert gateway.count("voicegate_playout_faults_total") == 0
    for fault in ("could not be handled", "playout failed", "call failed", "connection failed"):
        assert fault not in logged.getvalue()


@pytest.mark.parametrize("via", PHONES)
def test_the_transcript_is_that_of_a_call(via: PhoneVia) -> None:
    messages = transcript(PhoneTarget(via))
    assert len(messages) >= 9
    rng = random.Random(1)
    assert sum(mad(messages, rng) != messages for _ in range(20)) >= 15
    assert sum(damaged(messages[0], rng) != messages[0] for _ in range(20)) >= 15
