"""The link over a transport made of lists."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiohttp.web_protocol import RequestHandler

from gateway.close_codes import CloseCode
from gateway.websocket.link import BinaryMessage, Goodbye, Link, Lost, TextMessage, open_socket
from gateway.websocket.rfc6455 import close_frame, ping_frame, pong_frame
from tests.unit.gateway.websocket.test_rfc6455 import framed


class Wire:
    """A transport, and aiohttp's side of the connection."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = self.aborted = self.paused = False
        self.unsent = 0
        self.parser: Any = None
        self.protocol: Any = None

    def set_parser(self, parser: Any) -> None:
        self.parser = parser

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def eof_received(self) -> None: ...

    def connection_lost(self, error: BaseException | None) -> None:
        self.parser.feed_eof()

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def get_extra_info(self, _name: str) -> None: ...

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self.unsent


def linked(*, heartbeat_s: float = 3600.0, most: int = 1_000_000) -> tuple[Link, Wire]:
    wire = Wire()
    response = open_socket(protocols=(), max_message_bytes=most, heartbeat_s=heartbeat_s)
    response.connection = cast(RequestHandler, wire)
    link = Link(response, cast(asyncio.Transport, wire), asyncio.get_running_loop().time)
    assert wire.parser is link
    return link, wire


def taking(into: list[str | bytes], only: type = bytes) -> Callable[[str | bytes], bool]:
    def take(message: str | bytes) -> bool:
        if isinstance(message, only):
            into.append(message)
            return True
        return False

    return take


async def waiting(link: Link) -> "asyncio.Task[Any]":
    """Somebody who waits for the next message."""
    task = asyncio.get_running_loop().create_task(link.receive())
    await asyncio.sleep(0)
    return task


async def test_messages_come_in_order_whether_they_were_there_before_or_not() -> None:
    link, _ = linked()
    receiver = await waiting(link)
    link.feed_data(framed(b"a", 2) + framed(b"b", 1))
    assert await receiver == BinaryMessage(b"a")
    assert await link.receive() == TextMessage("b")


async def test_what_is_taken_at_once_overtakes_nothing() -> None:
    link, _ = linked()
    taken: list[str | bytes] = []
    link.offer_to(taking(taken))
    link.feed_data(framed(b"before anybody receives", 2))
    assert await link.receive() == BinaryMessage(b"before anybody receives")
    link.feed_data(framed(b"while that one is worked on", 2))
    assert taken == []
    assert await link.receive() == BinaryMessage(b"while that one is worked on")
    receiver = await waiting(link)
    link.feed_data(framed(b"1", 2) + framed(b"text", 1) + framed(b"2", 2))
    assert taken == [b"1"]
    assert await receiver == TextMessage("text")
    assert await link.receive() == BinaryMessage(b"2")
    receiver = await waiting(link)
    link.feed_data(framed(b"3", 2))
    assert taken == [b"1", b"3"]
    receiver.cancel()


async def test_a_burst_is_not_all_taken_at_once() -> None:
    link, _ = linked()
    taken: list[str | bytes] = []
    link.offer_to(taking(taken))
    receiver = await waiting(link)
    link.feed_data(b"".join(framed(bytes([n]), 2) for n in range(60)))
    assert len(taken) == 50
    rest = [await receiver] + [await link.receive() for _ in range(9)]
    assert rest == [BinaryMessage(bytes([n])) for n in range(50, 60)]


@pytest.mark.parametrize("burst", [framed(b"x", 2) * 65, framed(b"x" * 300_000, 2)], ids=["many", "large"])
async def test_whoever_sends_faster_than_we_receive_is_not_read(burst: bytes) -> None:
    link, wire = linked()
    link.feed_data(burst)
    assert wire.paused
    for _ in range(len(burst) // len(framed(b"x", 2)) if len(burst) < 1000 else 1):
        await link.receive()
    assert not wire.paused


async def test_a_ping_is_answered_and_counted_as_unsent() -> None:
    link, wire = linked()
    assert link.idle
    link.feed_data(framed(b"hi", 9) + framed(b"unasked", 10))
    assert wire.written == [pong_frame(b"hi")]
    assert not link.idle


async def test_a_close_is_answered_and_nothing_follows() -> None:
    link, wire = linked()
    link.feed_data(framed(b"x", 2) + framed((1000).to_bytes(2) + b"bye", 8) + framed(b"late", 2))
    link.send_text(b"nobody hears this")
    link.send_audio(b"nor this", 20)
    assert wire.written == [close_frame(1000)]
    assert wire.closing
    assert [await link.receive(), await link.receive()] == [BinaryMessage(b"x"), Goodbye(1000)]
    link.feed_eof()
    assert not link._queue


async def test_what_is_no_websocket_is_closed_with_its_code() -> None:
    link, wire = linked(most=100)
    link.feed_data(framed(b"x" * 101, 2))
    assert wire.written[0][:4] == b"\x88" + bytes([len(wire.written[0]) - 2]) + (1009).to_bytes(2)
    assert isinstance(await link.receive(), Lost)
    assert wire.closing


async def test_a_lost_connection_is_told_once() -> None:
    link, _ = linked()
    link.feed_eof()
    link.feed_eof()
    assert isinstance(await link.receive(), Lost)
    assert not link._queue


async def test_a_connection_that_was_lost_before_is_lost() -> None:
    wire = Wire()
    wire.closing = True
    response = open_socket(protocols=(), max_message_bytes=1, heartbeat_s=3600)
    response.connection = cast(RequestHandler, wire)
    link = Link(response, cast(asyncio.Transport, wire), asyncio.get_running_loop().time)
    assert isinstance(await link.receive(), Lost)


async def test_a_quiet_peer_is_asked_and_then_given_up() -> None:
    link, wire = linked(heartbeat_s=0.2)
    assert isinstance(await asyncio.wait_for(link.receive(), 10), Lost)
    assert wire.written == [ping_frame()]
    assert wire.aborted


async def test_a_peer_that_answers_is_kept() -> None:
    link, wire = linked(heartbeat_s=3600.0)
    for _ in range(10):
        link._on_beat()
        if wire.written:
            wire.written.clear()
            link.feed_data(framed(b"", 10))
        link._beat.cancel()
    assert not wire.closing


async def test_closing_says_why_and_waits_for_the_answer() -> None:
    link, wire = linked()
    closing = asyncio.get_running_loop().create_task(link.close(CloseCode.TOO_FAST, "ö" * 100))
    await asyncio.sleep(0)
    sent = wire.written[0]
    assert sent[2:4] == int(CloseCode.TOO_FAST).to_bytes(2)
    assert sent[4:].decode() == "ö" * 61, "cut at a character, within 123 bytes"
    link.feed_data(framed(b"still talking", 2) + framed(b"still", 1))
    await asyncio.sleep(0)
    assert not closing.done()
    link.feed_data(framed(int(CloseCode.TOO_FAST).to_bytes(2), 8))
    await asyncio.wait_for(closing, 1)
    assert wire.closing
    assert not wire.aborted
    await link.close(CloseCode.NORMAL, "again")
    assert len(wire.written) == 1


async def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    link, wire = linked()
    wire.unsent = 10_000
    link.feed_eof()
    await link.close(CloseCode.TOO_SLOW, "stuck")
    assert wire.aborted
