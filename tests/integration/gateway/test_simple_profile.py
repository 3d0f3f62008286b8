"""The simple profile over real sockets: a recorder's audio or whole files in, WAV files out, nothing else."""

import asyncio
import contextlib
import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from audiocodecs.wav import decode_wav, encode_wav
from gateway.close_codes import CloseCode
from gateway.websocket.limits import SocketLimits


def call(served: Any, session_id: str = "s1", **options: Any) -> connect:
    return connect(f"{served.url}/voice/{session_id}", **options)


def tone(seconds: float, rate_hz: int = 16_000) -> np.ndarray[Any, np.dtype[np.int16]]:
    return (np.sin(np.arange(int(seconds * rate_hz)) * 2 * np.pi * 440 / rate_hz) * 8000).astype(np.int16)


async def closed_with(socket: ClientConnection) -> int:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(10):
            async for _ in socket:
                pass
    assert socket.protocol.close_rcvd is not None, "cut off without a close frame"
    return socket.protocol.close_rcvd.code


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def recorded(seconds: float, form: str) -> bytes:
    """What a recorder makes: WebM (live, sizes unknown) or Ogg with Opus."""
    file = io.BytesIO()
    options = {"live": "1"} if form == "webm" else {}
    with av.open(file, "w", format=form, options=options) as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(seconds, 48_000).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


@pytest.fixture(scope="module")
def webm() -> bytes:
    return recorded(1.0, "webm")


@pytest.fixture(scope="module")
def ogg() -> bytes:
    return recorded(1.0, "ogg")


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 8_000])
async def test_a_whole_wav_is_a_turn_and_the_answer_is_a_whole_wav(served: Any, rate_hz: int) -> None:
    async with call(served) as socket:
        assert socket.subprotocol is None
        await socket.send(encode_wav(tone(1.0, rate_hz), rate_hz))
        answer = await asyncio.wait_for(socket.recv(), 10)
        assert isinstance(answer, bytes)
    heard = decode_wav(answer)
    assert heard.size == pytest.approx(16_000, abs=400)
    assert np.abs(np.fft.rfft(heard[2000:10_000].astype(float))).argmax() * 2 == pytest.approx(440, abs=5)
    echo = served.calls.calls["s1"]
    await eventually(lambda: echo.log == ["end_utterance", "hang_up client"])
    assert echo.request.clips is True
    assert echo.request.transport == "voice-simple"


async def test_a_recorders_stream_is_one_growing_file_cut_anywhere(served: Any, webm: bytes) -> None:
    cuts = [*range(500), *range(500, len(webm), 211), len(webm)]
    async with call(served) as socket:
        for start, stop in pairwise(cuts):
            await socket.send(webm[start:stop])
            await socket.send(b"") if start % 50 == 0 else None
        await eventually(lambda: served.heard("s1") >= 45)


async def test_a_restarted_recorder_begins_a_new_file(served: Any, webm: bytes) -> None:
    async with call(served) as socket:
        await socket.send(webm)
        await socket.send(webm)
        await eventually(lambda: served.heard("s1") >= 95)


async def test_a_whole_ogg_is_a_turn(served: Any, ogg: bytes) -> None:
    async with call(served) as socket:
        await socket.send(ogg)
        assert decode_wav(await asyncio.wait_for(socket.recv(decode=False), 10)).size > 14_000
    assert served.calls.calls["s1"].log[0] == "end_utterance"


async def test_clips_follow_each_other_in_real_time(served: Any) -> None:
    async with call(served) as socket:
        await eventually(lambda: "s1" in served.calls.calls)
        echo = served.calls.calls["s1"]
        echo.say(tone(1.2), clauses=3)
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(3):
            clip = await asyncio.wait_for(socket.recv(decode=False), 5)
            assert decode_wav(clip).size == pytest.approx(0.4 * 16_000, abs=2)
            times.append(loop.time())
        gaps = np.diff(times)
        assert all(0.45 <= gap <= 0.55 for gap in gaps), gaps
        await eventually(lambda: echo.played_samples == int(1.2 * 24_000))
        assert 0.39 < loop.time() - times[-1] < 0.6


async def test_no_message_reaches_one_mebibyte(served: Any) -> None:
    async with call(served, max_size=2**20) as socket:
        await eventually(lambda: "s1" in served.calls.calls)
        served.calls.calls["s1"].say(tone(25.0))
        clip = await asyncio.wait_for(socket.recv(decode=False), 5)
        assert 2**20 - 1000 < len(clip) < 2**20
        assert decode_wav(clip).size / 16_000 == pytest.approx(21.8, abs=0.1)


async def test_text_is_refused(served: Any) -> None:
    async with call(served) as socket:
        await socket.send("hello")
        assert await closed_with(socket) == CloseCode.WRONG_KIND


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 64, b"RIFF\x10\0\0\0WAVEfmt " + b"\xff" * 64, b"\x1a\x45\xdf\xa3" + b"\xff" * 64, b"ID3" + b"\0" * 20],
    ids=["raw", "wav", "webm", "mp3"],
)
async def test_bytes_that_are_no_audio(served: Any, garbage: bytes) -> None:
    async with call(served) as socket:
        await socket.send(garbage)
        assert await closed_with(socket) == CloseCode.BAD_PAYLOAD


async def test_a_file_that_lasts_too_long(start: Any) -> None:
    async with start(limits=SocketLimits(upload_s=2.0)) as served, call(served) as socket:
        await socket.send(encode_wav(tone(2.5, 8_000), 8_000))
        assert await closed_with(socket) == CloseCode.AUDIO_TOO_LONG


async def test_a_file_above_the_size_limit(start: Any) -> None:
    async with start(limits=SocketLimits(simple_message_bytes=100_000)) as served, call(served) as socket:
        await socket.send(bytes(100_001))
        assert await closed_with(socket) == CloseCode.TOO_BIG


async def test_a_long_upload_does_not_stall_other_calls(served: Any) -> None:
    """Five minutes of audio in one message: another call's frames still come every 20 ms."""
    async with (
        call(served, "busy") as uploader,
        connect(f"{served.url}/voice/other", subprotocols=[Subprotocol("voice.v1")]) as listener,
    ):
        await listener.send('{"type":"session.start"}')
        await eventually(lambda: "other" in served.calls.calls)
        served.calls.calls["other"].say(tone(3.0))
        upload = await asyncio.to_thread(encode_wav, tone(300.0, 44_100), 44_100)
        loop = asyncio.get_running_loop()
        times = [loop.time()]

        async def listen() -> None:
            while len(times) < 100:
                if isinstance(await listener.recv(), bytes):
                    times.append(loop.time())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen())
            await uploader.send(upload)
        assert max(np.diff(times)[1:]) < 0.7  # decoding it in the loop stalls for seconds
        await eventually(lambda: "end_utterance" in served.calls.calls["busy"].log)


async def test_a_lost_socket_ends_the_call_because_nobody_could_resume_it(served: Any) -> None:
    async with call(served) as socket:
        socket.transport.abort()
    await eventually(lambda: served.calls.calls["s1"].log == ["hang_up disconnected"])


async def test_a_session_id_that_has_its_connection(served: Any) -> None:
    async with call(served):
        with pytest.raises(InvalidStatus) as refused:
            await call(served)
        assert refused.value.response.status_code == 409


async def test_uploads_faster_than_allowed(start: Any) -> None:
    limits = SocketLimits(audio_burst_s=1.0)
    async with start(limits=limits) as served, call(served) as socket:
        file = encode_wav(tone(20.0, 8_000), 8_000)
        await socket.send(file)  # may exceed the burst once
        await eventually(lambda: "end_utterance" in served.calls.calls["s1"].log)
        await socket.send(file)
        assert await closed_with(socket) == CloseCode.TOO_FAST
