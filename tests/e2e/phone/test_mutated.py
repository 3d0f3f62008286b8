"""All carriers send messages that make no sense; one caller talks meanwhile and notices nothing."""

import asyncio

from audiocodecs.resample import resample_whole
from tests.e2e.phone.lines import Lines
from tests.e2e.phone.mutated import MadCarrier
from tests.e2e.voices import share_understood, spoken
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PHONES
from voicegate.kernel.audio import PIPELINE_RATE_HZ
from voicegate.kernel.events import TurnCommitted

HOURS = "What are your opening hours?"
MESSAGES = 60
"""On each carrier, in ``make test``."""


async def test_mutated_messages_harm_nobody(lines: Lines) -> None:
    async with PhoneCall(lines.target("twilio")) as call:
        await call.greeting_over()
        mad = [MadCarrier(lines.target(via), MESSAGES, seed=1) for via in PHONES]
        attack = asyncio.gather(*(each.run() for each in mad))
        asked = await call.speak(resample_whole(await spoken(HOURS), PIPELINE_RATE_HZ, call.rate_hz))
        assert await call.reply_over(asked, timeout_s=30)
        assert call.tape.agent_end > asked.end, "the bystander is answered"
        await asyncio.wait_for(attack, 60)
        await call.hang_up()
    events = await asyncio.to_thread(lines.ended, await asyncio.to_thread(lines.session_of, call))
    turns = [event.text for event in events if isinstance(event, TurnCommitted)]
    assert any(share_understood(HOURS, turn) >= 0.6 for turn in turns), turns
    for each in mad:
        assert each.sent >= MESSAGES, (each.target.via, each.ends)
    assert lines.served.alive
    assert "Traceback" not in lines.served.log
