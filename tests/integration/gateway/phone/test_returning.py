"""A stream that breaks: Twilio asks again, and the same conversation goes on; one that is over ends the call."""

from tests.integration.gateway.phone.ringing import Ringing, ringing, soon
from tests.integration.gateway.phone.wire_talk import (
    GUARDED,
    STREAM_SIGNATURE,
    closed_with,
    connected,
    say,
    start,
    token_of,
    webhook,
)
from voicegate.kernel.clock import SystemClock

FIELDS = {"CallSid": "CA1", "From": "+15551", "To": "+15552", "CallStatus": "ringing", "Direction": "inbound"}
BACK = FIELDS | {"CallStatus": "in-progress"}


async def answer(gateway: Ringing, *, back: bool = False) -> str:
    status, twiml = await webhook(gateway, BACK if back else FIELDS, query="?returned=1" if back else "")
    assert status == 200
    return twiml


async def test_a_broken_stream_comes_back_to_the_same_conversation() -> None:
    async with ringing(**GUARDED) as gateway:
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(await answer(gateway))))
            call = await gateway.answered()
        await soon(lambda: call.log == ["detach"])
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(await answer(gateway, back=True)), stream_id="MZ2"))
            await soon(lambda: call.resumed)
            assert len(gateway.calls.calls) == 1
            await say(socket, {"event": "stop", "streamSid": "MZ2"})
            await closed_with(socket)
        assert call.log[-1] == "hang_up caller"


async def test_a_stream_that_was_lost_leaves_its_note_for_the_time_in_which_it_may_come_back() -> None:
    async with ringing(**GUARDED, resume_s=2.0) as gateway:
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(await answer(gateway))))
            call = await gateway.answered()
            await soon(lambda: _longest_note_s(gateway) > 3000)
        await soon(lambda: call.log == ["detach"])
        await soon(lambda: 0 < _longest_note_s(gateway) < 300)


def _longest_note_s(gateway: Ringing) -> float:
    """For which a note will still be kept."""
    now = SystemClock().monotonic()
    return max((note.until - now for note in gateway.notes._notes.values()), default=0.0)


async def test_a_process_that_ends_sends_a_call_that_comes_back_to_another_one() -> None:
    """The carrier asks on a connection it has kept: told that all lines are busy, it would hang up."""
    async with ringing(**GUARDED) as gateway:
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(await answer(gateway))))
            call = await gateway.answered()
        await soon(lambda: call.log == ["detach"])
        gateway.gateway.parts.admission.draining = True
        assert token_of(await answer(gateway, back=True)), "the token is good at every process"
        assert '<Reject reason="busy"/>' in await answer(gateway), "a new call is not taken"


async def test_a_stream_that_looks_alive_gives_way_to_the_one_that_came_back() -> None:
    async with ringing(**GUARDED) as gateway, connected(gateway, headers=STREAM_SIGNATURE) as old:
        await say(old, start(token_of(await answer(gateway))))
        call = await gateway.answered()
        async with connected(gateway, headers=STREAM_SIGNATURE) as new:
            await say(new, start(token_of(await answer(gateway, back=True)), stream_id="MZ2"))
            assert await closed_with(old) == 4409
            assert "hang_up" not in " ".join(call.log)


async def test_when_the_agent_has_hung_up_the_call_ends_too() -> None:
    async with ringing(**GUARDED) as gateway:
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(await answer(gateway))))
            call = await gateway.answered()
            call.end("agent")
            assert await closed_with(socket) == 1000
        assert "<Hangup/>" in await answer(gateway, back=True)


async def test_a_conversation_that_is_gone_does_not_begin_anew() -> None:
    async with ringing(**GUARDED) as gateway:
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(await answer(gateway))))
            call = await gateway.answered()
        await soon(lambda: call.log == ["detach"])
        twiml = await answer(gateway, back=True)
        gateway.calls.calls.clear()
        async with connected(gateway, headers=STREAM_SIGNATURE) as socket:
            await say(socket, start(token_of(twiml)))
            assert await closed_with(socket) == 1008
        assert not gateway.calls.calls
        assert "<Hangup/>" in await answer(gateway, back=True), "and is not asked for again and again"


async def test_a_call_that_has_ended_at_the_carrier_is_answered_with_its_end() -> None:
    async with ringing(**GUARDED) as gateway:
        status, twiml = await webhook(gateway, FIELDS | {"CallStatus": "completed"}, query="?returned=1")
        assert (status, "<Hangup/>" in twiml) == (200, True)
