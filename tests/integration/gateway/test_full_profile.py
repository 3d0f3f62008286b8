"""The full profile over real sockets."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.typing import Subprotocol

from audiocodecs.registry import open_decoder, open_encoder
from gateway.close_codes import CloseCode
from voicegate.kernel import events
from voicegate.kernel.errors import RefusedCall, StateUnavailable

V1 = [Subprotocol("voice.v1")]


def call(served: Any, session_id: str = "s1", **options: Any) -> connect:
    return connect(f"{served.url}/voice/{session_id}", subprotocols=V1, **options)


async def say(socket: ClientConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def hear_until(socket: ClientConnection, kind: str) -> tuple[list[dict[str, Any]], bytes]:
    """Text messages up to and with the first of this type, and the audio between them."""
    texts: list[dict[str, Any]] = []
    audio = b""
    async with asyncio.timeout(10):
        while not texts or texts[-1]["type"] != kind:
            message = await socket.recv()
            if isinstance(message, bytes):
                audio += message
            else:
                texts.append(json.loads(message))
    return texts, audio


async def closed_with(socket: ClientConnection) -> tuple[int, str]:
    """Read to the end; the server's close code and reason."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(10):
            async for _ in socket:
                pass
    assert socket.protocol.close_rcvd is not None, "cut off without a close frame"
    return socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def tone(seconds: float, rate_hz: int = 16_000) -> np.ndarray[Any, np.dtype[np.int16]]:
    return (np.sin(np.arange(int(seconds * rate_hz)) * 2 * np.pi * 440 / rate_hz) * 8000).astype(np.int16)


async def test_a_whole_conversation(served: Any) -> None:
    async with call(served) as socket:
        assert socket.subprotocol == "voice.v1"
        await say(socket, "session.start", agent="ada", greeting=False, context={"locale": "en"})
        welcome = json.loads(await socket.recv())
        assert welcome["type"] == "session.welcome"
        assert welcome["resumeSecret"] == "secret-of-s1"
        started = json.loads(await socket.recv())
        assert started["type"] == "session.started"
        assert (started["seq"], started["agent"]) == (1, "ada")
        spoken = tone(0.5)
        await socket.send(spoken.tobytes()[:7001])  # any length, odd ones too
        await socket.send(spoken.tobytes()[7001:])
        await say(socket, "utterance.end")
        texts, _ = await hear_until(socket, "turn.committed")
        assert texts[-1]["text"] == "8000 samples"
        heard = b""
        while len(heard) < len(spoken.tobytes()):
            frame = await asyncio.wait_for(socket.recv(), 5)
            assert isinstance(frame, bytes)
            assert len(frame) == 640
            heard += frame
        assert heard == spoken.tobytes()
        await say(socket, "text", text="hi")
        await say(socket, "dtmf", digits="1#")
        await say(socket, "reply.cancel")
        await say(socket, "ping", id=9)
        texts, _ = await hear_until(socket, "pong")
        assert texts[-1] == {"type": "pong", "id": 9}
        await say(socket, "session.end")
        texts, _ = await hear_until(socket, "session.ended")
        assert texts[-1]["reason"] == "client"
        assert await closed_with(socket) == (1000, "session.end")
    spoken_to = served.calls.calls["s1"]
    assert spoken_to.log == ["end_utterance", "text hi", "key 1", "key #", "interrupt", "hang_up client"]
    assert spoken_to.request.greeting is False
    assert dict(spoken_to.request.context) == {"locale": "en"}
    assert served.count("voicegate_gateway_closes_total", code="normal") == 1


@pytest.mark.parametrize(
    ("encoding", "rate"), [("pcm16", 16_000), ("pcm16", 24_000), ("opus", 48_000), ("pcmu", 8_000), ("pcma", 8_000)]
)
async def test_every_format_in_and_out(served: Any, encoding: str, rate: int) -> None:
    form = {"encoding": encoding, "rate": rate}
    encoder, decoder = open_encoder(encoding, rate), open_decoder(encoding, rate)
    async with call(served) as socket:
        await say(socket, "session.start", input=form, output=form)
        for packet in encoder.push(tone(0.4, rate)):
            await socket.send(packet)
        await say(socket, "utterance.end")
        await hear_until(socket, "turn.committed")
        heard = np.empty(0, np.int16)
        while heard.size < 0.3 * 16_000:
            packet = await asyncio.wait_for(socket.recv(decode=False), 5)
            heard = np.concatenate([heard, decoder.push(packet)])
    middle = heard[1600:4800].astype(float)
    loudest = np.abs(np.fft.rfft(middle)).argmax() * 16_000 / middle.size
    assert loudest == pytest.approx(440, abs=10)
    request = served.calls.calls["s1"].request
    assert request.input_format == request.output_format == f"{encoding}/{rate}"


async def test_audio_before_a_start_begins_with_the_defaults(served: Any) -> None:
    async with call(served) as socket:
        await socket.send(tone(0.1).tobytes())
        texts, _ = await hear_until(socket, "session.started")
        assert texts[0]["input"] == texts[0]["output"] == {"encoding": "pcm16", "rate": 16_000}
        await eventually(lambda: served.heard("s1") == 5)


async def test_frames_come_in_real_time_and_nothing_while_silent(served: Any) -> None:
    async with call(served) as socket:
        await say(socket, "session.start")
        await hear_until(socket, "session.started")
        served.calls.calls["s1"].say(tone(1.0))
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(50):
            await asyncio.wait_for(socket.recv(), 5)
            times.append(loop.time())
        assert 0.9 < times[-1] - times[0] < 1.2
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.1)


async def test_a_lost_socket_detaches_and_a_resume_delivers_what_was_missed(served: Any) -> None:
    async with call(served) as socket:
        await say(socket, "session.start")
        texts, _ = await hear_until(socket, "session.started")
        socket.transport.abort()
    echo = served.calls.calls["s1"]
    await eventually(lambda: echo.log == ["detach"])
    echo.emit(events.Notice, code="missed", message="while nobody listened")
    async with call(served) as socket:
        await say(socket, "session.resume", lastSeq=1, secret="secret-of-s1")
        texts, _ = await hear_until(socket, "notice")
        assert [text["type"] for text in texts] == ["session.welcome", "notice"]
        assert texts[0]["resumed"] is True
        assert texts[1]["seq"] == 2


async def test_a_resume_takes_the_call_from_a_socket_that_looks_alive(served: Any) -> None:
    """A phone that changed its network resumes before anybody noticed that its old socket is dead."""
    async with call(served) as old:
        await say(old, "session.start")
        await hear_until(old, "session.started")
        echo = served.calls.calls["s1"]
        async with call(served) as new:
            await say(new, "session.resume", lastSeq=1, secret="secret-of-s1")
            await hear_until(new, "session.welcome")
            spoken = tone(0.4)
            echo.say(spoken)
            assert (await closed_with(old))[0] == CloseCode.TAKEN_OVER
            heard = b""
            while len(heard) < len(spoken.tobytes()):
                heard += await asyncio.wait_for(new.recv(decode=False), 5)
            assert heard == spoken.tobytes(), "the old socket took frames of the new one"
            assert echo.log == [], "the old socket ended or detached a call that it lost"
            await say(new, "session.end")
            await hear_until(new, "session.ended")
    assert echo.log == ["hang_up client"]


@pytest.mark.parametrize(("code", "farewell"), [(1000, "hang_up client"), (1001, "detach"), (4000, "detach")])
async def test_what_a_close_of_the_client_means(served: Any, code: int, farewell: str) -> None:
    async with call(served) as socket:
        await say(socket, "session.start")
        await hear_until(socket, "session.started")
        await socket.close(code)
    await eventually(lambda: served.calls.calls["s1"].log == [farewell])


REFUSED: list[tuple[Exception, CloseCode]] = [
    (RefusedCall("busy", "full"), CloseCode.TRY_AGAIN),
    (RefusedCall("draining", "bye"), CloseCode.GOING_AWAY),
    (StateUnavailable("away"), CloseCode.TRY_AGAIN),
    (RefusedCall("surprise", "?"), CloseCode.INTERNAL),
    (RuntimeError("bug"), CloseCode.INTERNAL),
]


@pytest.mark.parametrize(("error", "code"), REFUSED)
async def test_a_call_refused_after_the_upgrade(served: Any, error: Exception, code: CloseCode) -> None:
    served.calls.fail_with = error
    async with call(served) as socket:
        await say(socket, "session.start")
        assert (await closed_with(socket))[0] == code


@pytest.mark.parametrize(("secret", "code"), [("wrong", CloseCode.UNAUTHORIZED), (None, CloseCode.GONE)])
async def test_a_resume_that_is_refused(served: Any, secret: str | None, code: CloseCode) -> None:
    if secret:
        async with call(served) as socket:
            await say(socket, "session.start")
            await hear_until(socket, "session.started")
            await socket.close(1001)
    async with call(served) as socket:
        await say(socket, "session.resume", lastSeq=0, secret=secret or "x")
        assert (await closed_with(socket))[0] == code


ENDINGS = [("agent", CloseCode.NORMAL), ("taken_over", CloseCode.TAKEN_OVER), ("draining", CloseCode.GOING_AWAY)]


@pytest.mark.parametrize(("reason", "code"), ENDINGS)
async def test_the_call_ends_on_our_side(served: Any, reason: str, code: CloseCode) -> None:
    async with call(served) as socket:
        await say(socket, "session.start")
        await hear_until(socket, "session.started")
        served.calls.calls["s1"].end(reason)
        await hear_until(socket, "session.ended")
        assert await closed_with(socket) == (code, reason)
    assert served.calls.calls["s1"].log == []


MALFORMED: list[tuple[str | bytes, CloseCode]] = [
    ("not json", CloseCode.BAD_PAYLOAD),
    ("[1,2]", CloseCode.BAD_PAYLOAD),
    ('{"type":"session.start","greeting":"no"}', CloseCode.BAD_MESSAGE),
    ('{"type":"ping","id":"' + "x" * 40_000 + '"}', CloseCode.TOO_BIG),
    (b"x" * (256 * 1024 + 1), CloseCode.TOO_BIG),
]


@pytest.mark.parametrize(("message", "code"), MALFORMED)
async def test_malformed_messages(served: Any, message: str | bytes, code: CloseCode) -> None:
    async with call(served) as socket:
        await socket.send(message)
        assert (await closed_with(socket))[0] == code


async def test_bytes_that_are_not_a_websocket(served: Any) -> None:
    async with call(served) as socket:
        socket.transport.write(b"\xff" * 64)
        assert (await closed_with(socket))[0] == CloseCode.PROTOCOL_ERROR


async def test_a_message_of_exactly_the_limit_is_taken(served: Any) -> None:
    async with call(served) as socket:
        await socket.send(b"\0" * 256 * 1024)
        await eventually(lambda: served.heard("s1") == 409)


async def test_an_opus_packet_that_is_none(served: Any) -> None:
    async with call(served) as socket:
        await say(socket, "session.start", input={"encoding": "opus"})
        await socket.send(b"\xff" * 10)
        assert (await closed_with(socket))[0] == CloseCode.BAD_PAYLOAD


async def test_unknown_and_misplaced_messages_are_answered_and_counted(served: Any) -> None:
    async with call(served) as socket:
        await say(socket, "utterance.end")
        await say(socket, "dance")
        first, second = json.loads(await socket.recv()), json.loads(await socket.recv())
        assert (first["type"], first["code"]) == ("error", "wrong_order")
        assert (second["type"], second["code"]) == ("error", "unknown_type")
        assert "session.start" in second["allowed"]
        await say(socket, "session.start")
        await hear_until(socket, "session.started")
    assert served.count("voicegate_gateway_bad_messages_total", code="unknown_type") == 1


async def test_the_agent_of_a_token_cannot_be_changed(start: Any) -> None:
    from datetime import UTC, datetime

    from gateway.tokens import Claims, sign

    secret = "s" * 16
    token = sign(secret, Claims("s1", int(datetime.now(UTC).timestamp()) + 60, agent="ada"))
    headers = {"Authorization": f"Bearer {token}"}
    async with start(token_secrets=(secret,)) as served:
        async with call(served, additional_headers=headers) as socket:
            await say(socket, "session.start", agent="eve")
            assert (await closed_with(socket))[0] == CloseCode.FORBIDDEN
        async with call(served, additional_headers=headers) as socket:
            await say(socket, "session.start")
            await hear_until(socket, "session.started")
            assert served.calls.calls["s1"].request.agent == "ada"


async def test_a_shutdown_closes_with_1001_and_keeps_the_call(start: Any) -> None:
    async with start() as served:
        socket = await call(served)
        await say(socket, "session.start")
        await hear_until(socket, "session.started")
        waiting = asyncio.get_running_loop().create_task(closed_with(socket))
    assert (await waiting)[0] == CloseCode.GOING_AWAY
    assert served.calls.calls["s1"].log == ["detach"]
    with pytest.raises((OSError, websockets.InvalidMessage, ConnectionClosedError)):
        await call(served)
