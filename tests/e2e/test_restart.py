"""A call survives its socket and its process: nothing said is forgotten, no event is missed."""

import asyncio
import signal
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.e2e.served import Served
from tests.e2e.voices import words
from tests.e2e.wire import Wire, wire
from voicegate.kernel.events import encode
from voicegate.kernel.ids import new_session_id

pytestmark = pytest.mark.slow

ABOUT = "Tell me about Mill Lane."
TIME = "What time is it?"
PRICE = "How much is it?"
"""Needs the turn before it: which home?"""


def _seqs(*connections: Wire) -> list[int]:
    return [text["seq"] for each in connections for text in each.texts if "seq" in text]


def _as_stored(served: Served, session_id: str) -> list[bytes]:
    return [encode(event) for event in served.events(session_id)]


async def _begin(client: Wire, question: str = ABOUT) -> str:
    """Start a call without greeting and ask something; returns the resume secret once the answer is under way."""
    await client.send("session.start", greeting=False)
    secret = (await client.first("session.welcome"))["resumeSecret"]
    await client.send("text", text=question)
    await client.first("reply.heard")
    return str(secret)


async def _resume(client: Wire, secret: str, last_seq: int) -> dict[str, Any]:
    await client.send("session.resume", lastSeq=last_seq, secret=secret)
    return await client.first("session.welcome")


async def _answered(client: Wire, question: str) -> str:
    """Ask by text; the answer's whole text."""
    finished = len(client.of("turn.committed"))
    await client.send("text", text=question)
    await client.until(lambda: len(client.of("turn.committed")) > finished)
    turn = client.of("turn.committed")[-1]["turn"]
    await client.until(lambda: any(each["turn"] == turn for each in client.of("reply.finished")), 20)
    return str(client.of("reply.finished")[-1]["text"])


async def _hang_up(client: Wire) -> None:
    await client.send("session.end")
    assert await client.closed() == 1000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_another_process_goes_on_with_the_call(start: Start, number: signal.Signals) -> None:
    gateway = start()
    session_id = new_session_id()
    async with wire(gateway.url, session_id) as before:
        secret = await _begin(before)
        code = gateway.stop(number)
        closed = await before.closed()
    if number is signal.SIGINT:
        assert (code, closed) == (0, 1001)
    else:
        assert (code, closed) == (-9, 1006)
    gateway.start()
    async with wire(gateway.url, session_id) as after:
        welcome = await _resume(after, secret, max(_seqs(before)))
        assert welcome["resumed"] is True
        price = await _answered(after, PRICE)
        await _hang_up(after)
    assert {"eighty", "five", "thousand"} <= words(price), price
    kinds = [text.get("kind", "answer") for text in after.of("reply.started")]
    assert kinds == ["resume", "answer"], "no second greeting"
    seqs = _seqs(before, after)
    assert seqs == list(range(1, len(seqs) + 1))
    assert [text["seq"] for text in after.of("session.started") if text.get("resumed")] == [max(_seqs(before)) + 1] or (
        number is signal.SIGINT
    )
    assert len(_as_stored(gateway, session_id)) == len(seqs)
    turns = {(entry.turn, entry.role): entry for entry in gateway.transcript(session_id)}
    assert words(turns[1, "user"].text) == words(ABOUT)  # type: ignore[index]
    first = turns[1, "agent"]  # type: ignore[index]
    assert first.state == "interrupted"
    assert first.generated.startswith(first.text)
    assert "Traceback" not in gateway.log


async def test_a_drained_call_moves_between_two_turns(start: Start) -> None:
    """SIGTERM in the middle of a reply: it is heard to its end, then the client is sent on, and nothing is lost."""
    gateway = start(VOICEGATE_DRAIN_S="0")
    session_id = new_session_id()
    async with wire(gateway.url, session_id) as before:
        secret = await _begin(before, TIME)
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        finished = await before.first("reply.finished", 20)
        assert await before.closed() == 1001
    assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    assert [text["code"] for text in before.of("notice")] == ["moving"]
    assert before.of("reply.interrupted") == []
    gateway.start()
    async with wire(gateway.url, session_id) as after:
        await _resume(after, secret, max(_seqs(before)))
        answer = await _answered(after, TIME)
        await _hang_up(after)
    assert answer.startswith("It's"), answer
    assert [text.get("kind", "answer") for text in after.of("reply.started")] == ["answer"], "nothing to make up for"
    entries = {(entry.turn, entry.role): entry for entry in gateway.transcript(session_id)}
    assert entries[1, "agent"].text == finished["text"]  # type: ignore[index]
    seqs = _seqs(before, after)
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_lost_socket_and_a_wrong_secret(served: Served) -> None:
    """The process lives on: the reply waits for its listener and goes on where it stopped."""
    session_id = new_session_id()
    async with wire(served.url, session_id) as before:
        secret = await _begin(before, TIME)
        before.socket.transport.abort()
        await before.closed()
    async with wire(served.url, session_id) as stranger:
        await stranger.send("session.resume", lastSeq=0, secret="x" * 32)
        assert await stranger.closed() == 4401
        assert stranger.texts == []
    async with wire(served.url, session_id) as after:
        assert (await _resume(after, secret, max(_seqs(before))))["resumed"] is True
        finished = await after.first("reply.finished", 20)
        await _hang_up(after)
    generated = " ".join(text["text"] for text in before.of("reply.text") + after.of("reply.text"))
    assert finished["text"] == generated
    seqs = _seqs(before, after)
    assert seqs == list(range(1, len(seqs) + 1))
    assert after.of("reply.started") == [], "it is the same reply"
    spoken_s = (before.samples.size + after.samples.size) / 16_000
    assert 0.04 * len(generated) <= spoken_s <= 0.1 * len(generated), "not cut, and not said twice"


async def test_an_event_seen_twice_is_asked_for_twice(served: Served) -> None:
    """A client that lost its own state begins at event 0 and gets everything; the other socket is closed."""
    session_id = new_session_id()
    async with wire(served.url, session_id) as first, wire(served.url, session_id) as second:
        secret = await _begin(first)
        await _resume(second, secret, 0)
        assert await first.closed() == 4409
        heard = len(second.of("reply.heard"))
        await second.until(lambda: len(second.of("reply.heard")) > heard)
        await _hang_up(second)
    seqs = _seqs(second)
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(_as_stored(served, session_id)) == len(seqs)


async def test_a_call_that_was_hung_up_is_gone(served: Served) -> None:
    session_id = new_session_id()
    async with wire(served.url, session_id) as client:
        secret = await _begin(client)
        await _hang_up(client)
    async with wire(served.url, session_id) as again:
        await again.send("session.resume", lastSeq=0, secret=secret)
        assert await again.closed() == 4410
