"""Calls by WebRTC with aiortc's peer on the other side: audio, events, and every way to part."""

import asyncio
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from blockbuster import blockbuster_ctx

from gateway.webrtc.config import WebRtcConfig
from tests.integration.gateway.conftest import EchoCall, Served, Start
from tests.unit.gateway.webrtc.sdp import CHROMIUM, body
from voicegate.client.connection import CallFailed, CallTarget, Resume
from voicegate.client.webrtc import WhipSocket, connect_whip
from voicegate.kernel import events
from voicegate.kernel.audio import Samples

QUICK = WebRtcConfig(quiet_s=0.2, gone_s=0.6, forget_s=3.0)
"""Times of a patient network would make the tests long."""


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    """Nothing but aiortc's own peer, which waits for its decoder thread."""
    with blockbuster_ctx() as watch:
        watch.functions["threading.Lock.acquire"].can_block_in("aiortc/rtcrtpreceiver.py", {"__stop_decoder"})
        yield


def tone(hz: float, seconds: float) -> Samples:
    wave: Samples = (np.sin(np.arange(int(16_000 * seconds)) * 2 * np.pi * hz / 16_000) * 8_000).astype(np.int16)
    return wave


def pitch(samples: Samples) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * 16_000 / samples.size)


class Caller:
    """A peer that keeps what it gets."""

    def __init__(self, socket: WhipSocket) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []
        self.audio: list[Samples] = []
        self.over = asyncio.Event()

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.texts.append(json.loads(message.data))
            else:
                self.audio.append(np.frombuffer(message.data, np.int16))
        self.over.set()

    async def say(self, samples: Samples) -> None:
        began = time.monotonic()
        for n, frame in enumerate(samples.reshape(-1, 320)):
            await asyncio.sleep(max(0.0, began + n * 0.02 - time.monotonic()))
            await self.socket.send_bytes(frame.tobytes())

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    def kinds(self) -> list[str]:
        return [text["type"] for text in self.texts]

    async def got(self, kind: str) -> dict[str, Any]:
        await until(lambda: kind in self.kinds())
        return next(text for text in self.texts if text["type"] == kind)


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def calling(
    served: Served, session: str = "mine", *, listens: bool = True, **target: Any
) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as http:
        caller = Caller(await connect_whip(http, CallTarget(session, url=served.http, **target), listens=listens))
        listening = asyncio.get_running_loop().create_task(caller.listen())
        try:
            yield caller
        finally:
            await caller.socket.close()
            await listening


@contextmanager
def network_down(caller: Caller) -> Iterator[None]:
    """Nothing goes out of this peer, and nothing comes in."""
    transport: Any = caller.socket._pc.sctp.transport.transport  # type: ignore[union-attr]
    sockets = transport._connection._protocols
    real = [(each, each.transport) for each in sockets]
    for each in sockets:
        each.transport = _Nowhere(each.transport)
        each.datagram_received = lambda *_: None
    yield
    for each, carrier in real:
        each.transport = carrier
        del each.datagram_received


class _Nowhere:
    def __init__(self, real: Any) -> None:
        self._real = real

    def sendto(self, *_: object) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def call_of(served: Served, session: str = "mine") -> EchoCall:
    return served.calls.calls[session]


async def test_audio_goes_there_and_back(served: Served) -> None:
    async with calling(served) as caller:
        await caller.say(tone(440, 1.0))
        await until(lambda: served.heard("mine") >= 45)
        heard = np.concatenate(call_of(served).heard)
        assert abs(pitch(heard[8_000:14_000]) - 440) < 10
        await caller.send("utterance.end")
        await until(lambda: sum(map(len, caller.audio)) > 12_000)
        assert abs(pitch(np.concatenate(caller.audio)[4_000:10_000]) - 440) < 10
    assert served.count("voicegate_webrtc_setup_seconds_count") == 1


async def test_events_and_commands(served: Served) -> None:
    async with calling(served) as caller:
        welcome = await caller.got("session.welcome")
        assert caller.kinds()[0] == "session.welcome"
        assert welcome["input"] == {"encoding": "opus", "rate": 48_000}
        assert (welcome["sessionId"], welcome["resumed"]) == ("mine", False)
        assert (await caller.got("session.started"))["transport"] == "whip"
        await caller.send("text", text="hello")
        assert (await caller.got("turn.committed"))["text"] == "hello"
        await caller.send("dtmf", digits="1#")
        await caller.send("reply.cancel")
        await caller.send("ping", id=7)
        assert (await caller.got("pong"))["id"] == 7
        assert call_of(served).log == ["text hello", "key 1", "key #", "interrupt"]


async def test_what_the_channel_refuses(served: Served) -> None:
    async with calling(served) as caller:
        await caller.send("session.start")
        assert (await caller.got("error"))["code"] == "wrong_order"
        await caller.send("dance")
        caller.socket._channel.send(b"binary")
        await until(lambda: caller.kinds().count("error") == 3)
        assert {text["code"] for text in caller.texts if text["type"] == "error"} == {
            "wrong_order",
            "unknown_type",
            "wrong_kind",
        }
        assert served.count("voicegate_gateway_bad_messages_total", code="wrong_kind") == 1
        await caller.socket.send_str("{not json")
        assert (await caller.got("notice"))["code"] == "bad_payload"
        await caller.over.wait()
    assert call_of(served).log[-1] == "detach"


async def test_binary_messages_end_it_at_last(served: Served) -> None:
    async with calling(served) as caller:
        for _ in range(21):
            caller.socket._channel.send(b"")
        assert (await caller.got("notice"))["code"] == "wrong_kind"


async def test_a_fault_of_ours_ends_the_connection_in_words(served: Served, logged: io.StringIO) -> None:
    async with calling(served) as caller:
        await caller.got("session.started")
        call_of(served)._frames = None  # type: ignore[assignment]  # a defect: it cannot answer
        await caller.send("text", text="hello")
        assert (await caller.got("notice"))["code"] == "internal"
    assert "could not be handled" in logged.getvalue()


async def test_a_message_that_is_too_long_for_the_channel(served: Served) -> None:
    async with calling(served) as caller:
        await caller.got("session.started")
        call_of(served).emit(
            events.ToolFinished, call_id="1", name="search", ok=True, duration_ms=1, result="x" * 100_000
        )
        told = await caller.got("tool.finished")
        assert told["truncated"] is True
        assert len(json.dumps(told)) < 65_536


async def test_session_end_hangs_up_and_the_last_events_come(served: Served) -> None:
    async with calling(served) as caller:
        await caller.got("session.started")
        await caller.send("session.end")
        await caller.over.wait()
        assert caller.kinds()[-2:] == ["session.ended", "notice"]
        assert caller.texts[-1]["code"] == "normal"
    assert call_of(served).log == ["hang_up client"]


async def test_delete_hangs_up(served: Served) -> None:
    async with calling(served) as caller:
        await caller.got("session.started")
        await caller.socket.close()
    assert await call_of(served).ended() == "client"
    await until(lambda: served.count("voicegate_gateway_connections") == 0)


async def test_the_call_ends_on_our_side(served: Served) -> None:
    async with calling(served) as caller:
        await caller.got("session.started")
        call_of(served).end("agent")
        await caller.over.wait()
        assert "session.ended" in caller.kinds()


async def test_a_peer_that_closes_is_awaited(served: Served) -> None:
    async with calling(served) as caller:
        await caller.got("session.started")
        await caller.socket._pc.close()
        await until(lambda: call_of(served).log == ["detach"])
        await until(lambda: served.count("voicegate_gateway_connections") == 0)


async def test_a_peer_that_closes_first_can_still_hang_up(served: Served) -> None:
    """As a published client does: it closes its connection, and sends its DELETE then."""
    async with calling(served) as caller:
        await caller.got("session.started")
        await caller.socket._pc.close()
        await until(lambda: call_of(served).log == ["detach"])
        await caller.socket.close()
        await until(lambda: call_of(served).log == ["detach", "hang_up client"])


async def test_a_peer_that_vanishes_is_noticed_and_forgotten(start: Start) -> None:
    async with start(webrtc=QUICK) as served, calling(served) as caller:
        await caller.got("session.started")
        began = time.monotonic()
        await caller.socket.vanish()
        await until(lambda: call_of(served).log == ["detach"])
        noticed = time.monotonic() - began
        assert noticed < QUICK.gone_s + 1.5
        await until(lambda: served.count("voicegate_gateway_connections") == 0)
        assert call_of(served).log == ["detach"]


async def test_a_vanished_peer_can_still_be_hung_up(start: Start) -> None:
    async with start(webrtc=QUICK) as served, calling(served) as caller:
        await caller.got("session.started")
        await caller.socket.vanish()
        await until(lambda: call_of(served).log == ["detach"])
        await caller.socket.close()
        await until(lambda: call_of(served).log == ["detach", "hang_up client"])


async def test_a_quiet_peer_is_not_taken_for_gone(start: Start) -> None:
    """It sends no audio at all; only its answers to our questions tell that it lives."""
    async with start(webrtc=QUICK) as served, calling(served) as caller:
        await caller.got("session.started")
        await asyncio.sleep(3 * QUICK.gone_s)
        assert call_of(served).log == []
        await caller.send("ping", id=1)
        await caller.got("pong")


async def test_a_peer_that_comes_back_goes_on(start: Start) -> None:
    async with start(webrtc=QUICK) as served, calling(served) as caller:
        await caller.got("session.started")
        with network_down(caller):
            await until(lambda: call_of(served).log == ["detach"])
            call_of(served).emit(events.TurnCommitted, text="meanwhile")
        await until(lambda: call_of(served).resumed)
        assert (await caller.got("turn.committed"))["text"] == "meanwhile"
        await caller.say(tone(300, 0.2))
        await until(lambda: served.heard("mine") > 5)
        sequence = [text["seq"] for text in caller.texts if "seq" in text]
        assert sequence == sorted(set(sequence)), "nothing twice, nothing missed"


async def test_resume_by_a_new_connection(served: Served) -> None:
    async with calling(served) as first:
        secret = (await first.got("session.welcome"))["resumeSecret"]
        await first.got("session.started")
        call_of(served).emit(events.TurnCommitted, text="second")
        await first.got("turn.committed")
        call_of(served).emit(events.TurnCommitted, text="third")
        async with calling(served, resume=Resume(secret, 2)) as second:
            assert (await second.got("session.welcome"))["resumed"] is True
            assert (await second.got("turn.committed"))["text"] == "third"
            assert (await first.got("notice"))["code"] == "taken_over"
            await first.over.wait()
            assert call_of(served).log == [], "the older connection never touches the call again"
            await second.send("text", text="still here")
            await until(lambda: call_of(served).log == ["text still here"])


async def test_a_caller_that_opens_dtls_itself(served: Served) -> None:
    async with aiohttp.ClientSession() as http:
        socket = WhipSocket(http, CallTarget("mine", url=served.http))
        try:
            await socket._pc.setLocalDescription(await socket._pc.createOffer())
            offer = socket._pc.localDescription.sdp.replace("a=setup:actpass", "a=setup:active")
            answer = await socket._post(offer)
            assert "a=setup:passive" in answer
            async with asyncio.timeout(10):
                await socket.connect(answer)
        finally:
            await socket.close()


async def test_over_ipv6(start: Start) -> None:
    async with start(webrtc=WebRtcConfig(hosts=("::1",))) as served:
        try:
            async with calling(served) as caller:
                await caller.got("session.started")
        except CallFailed:
            pytest.skip("this machine has no IPv6 address for the caller")


async def test_a_caller_that_only_speaks(served: Served) -> None:
    async with calling(served, listens=False) as caller:
        await caller.say(tone(440, 0.4))
        await until(lambda: served.heard("mine") > 10)
        await caller.send("utterance.end")
        await until(lambda: call_of(served).frames_taken > 10)
        assert caller.audio == []


async def test_no_check_goes_to_loopback_of_a_remote_caller(start: Start) -> None:
    """A gateway that does not listen on loopback, and a caller who names an address on it."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.0.1", 0))
        victim.setblocking(False)
        port = victim.getsockname()[1]
        lure = f"a=candidate:1 1 udp 2113937151 127.0.0.1 {port} typ host\n"
        offer = body(CHROMIUM.replace("a=ssrc", f"{lure}a=ssrc"))
        fragment = f"a=ice-ufrag:gbJJ\r\n{lure}".encode()
        for allowed, reached in ((False, False), (True, True)):
            config = WebRtcConfig(hosts=("127.0.0.1",), allow_loopback=allowed)
            async with start(host="0.0.0.0", anonymous=True, webrtc=config) as served, aiohttp.ClientSession() as http:
                url = f"http://127.0.0.1:{served.gateway.port}"
                made = await http.post(f"{url}/whip", data=offer, headers={"Content-Type": "application/sdp"})
                headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": made.headers["ETag"]}
                patched = await http.patch(url + made.headers["Location"], data=fragment, headers=headers)
                assert (made.status, patched.status) == (201, 204)
                try:
                    async with asyncio.timeout(1.0):
                        await loop.sock_recv(victim, 1500)
                    assert reached
                except TimeoutError:
                    assert not reached


async def test_no_gateway_and_refusals_in_words(served: Served) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(CallFailed, match="no gateway answers"):
            await connect_whip(http, CallTarget("x", url="http://127.0.0.1:1"))
        with pytest.raises(CallFailed, match="400"):
            await connect_whip(http, CallTarget("a/b", url=served.http))
