"""The customer's own client, word for word: one WAV file in one message in, audio out, the transcript in Redis."""

import asyncio
import io
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import websockets

from audiocodecs.resample import resample_whole
from tests.e2e.conftest import Start
from tests.e2e.scenes import Scenes, tell
from tests.e2e.served import Served
from tests.e2e.voices import human, is_understood, share_understood, spoken, understood, words
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

pytestmark = pytest.mark.slow

QUESTION = "What are your opening hours?"
PATIENCE_S = 20.0


def wav_file(samples: Samples, rate_hz: int = 16_000, width: int = 2, channels: int = 1) -> bytes:
    """16 kHz samples as a WAV file, by the standard library."""
    scaled = resample_whole(samples, PIPELINE_RATE_HZ, rate_hz).astype(np.int64)
    match width:
        case 1:
            body = ((scaled >> 8) + 128).astype(np.uint8).reshape(-1, 1)
        case 2:
            body = scaled.astype("<i2").reshape(-1, 1).view(np.uint8)
        case 3:
            body = (scaled << 8).astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3]
        case _:
            body = (scaled << 16).astype("<i4").reshape(-1, 1).view(np.uint8)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(np.tile(body, (1, channels)).tobytes())
    return out.getvalue()


def played(message: Any) -> Samples:
    """A message as a page would play it: mono int16 at 16 kHz. Fails on what is not audio."""
    assert isinstance(message, bytes)
    assert message
    with wave.open(io.BytesIO(message)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        rate_hz, body = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(body, np.int16)
    assert samples.size > 0
    return resample_whole(samples, rate_hz, PIPELINE_RATE_HZ)


async def ended(served: Served, session_id: str) -> None:
    """The session is over and stored."""
    async with asyncio.timeout(10):
        while not any(type(event).__name__ == "SessionEnded" for event in served.events(session_id)):
            await asyncio.sleep(0.05)


async def replies(socket: websockets.ClientConnection, quiet_s: float = 2.5) -> Samples:
    """All the agent says until it has been quiet for a while: each clip lasts as long as it plays."""
    parts: list[Samples] = []
    wait_s = PATIENCE_S
    while True:
        try:
            message = await asyncio.wait_for(socket.recv(), wait_s)
        except TimeoutError:
            break
        parts.append(played(message))
        wait_s = parts[-1].size / PIPELINE_RATE_HZ + quiet_s
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


scenes: Scenes[[Served]] = Scenes()


@pytest.fixture(scope="module")
def outcomes(served: Served) -> dict[str, BaseException | None]:
    return scenes.play(served)


FORMATS = [(16_000, 2, 1), (44_100, 2, 2), (8_000, 1, 1), (48_000, 3, 2), (22_050, 4, 1)]


def the_first_message(rate_hz: int, width: int, channels: int) -> Callable[[Served], Awaitable[None]]:
    """A scene: a file in this format is answered by the agent's voice at once."""

    async def scene(served: Served) -> None:
        session_id = str(uuid.uuid4())
        question = wav_file(await spoken(QUESTION), rate_hz, width, channels)
        async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:
            await socket.send(question)
            first = await asyncio.wait_for(socket.recv(), PATIENCE_S)
        heard = await understood(played(first))  # the client has gone after one message
        await ended(served, session_id)
        assert is_understood(QUESTION, served.said(session_id, "user"))
        answer = served.said(session_id, "agent")
        assert answer, "what was sent is in the transcript"
        assert share_understood(answer, heard) >= 0.6, (answer, heard)

    scene.__name__ = f"the_first_message_is_the_agents_voice_{rate_hz}_{width}_{channels}"
    return scene


for _format in FORMATS:
    scenes.add(the_first_message(*_format))


@scenes.add
async def human_voices(served: Served) -> None:
    """Three at once, each in a call of its own."""
    made = (await spoken("The child almost hurt the small dog."), "the child almost hurt the small dog")
    recordings = [human(name) or made for name in ("ps_goforward", "sb_spk1_1", "jfk")]

    async def call(samples: Samples, reference: str) -> tuple[float, float]:
        session_id = str(uuid.uuid4())
        async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:
            await socket.send(wav_file(samples))
            answer = await replies(socket)
        hearing = share_understood(reference, served.said(session_id, "user"))
        return hearing, share_understood(served.said(session_id, "agent"), await understood(answer))

    shares = await asyncio.gather(*(call(*recording) for recording in recordings))
    assert all(share >= 0.6 for both in shares for share in both), shares


async def test_a_started_command_serves_it(start: Start) -> None:
    """Nothing but ``voicegate serve`` and a client; the answer is about the question."""
    own = start(VOICEGATE_LOG_FORMAT="console")
    session_id = str(uuid.uuid4())
    async with websockets.connect(f"ws://localhost:{own.port}/voice/{session_id}") as socket:
        await socket.send(wav_file(await spoken(QUESTION)))
        first = await asyncio.wait_for(socket.recv(), PATIENCE_S)
    assert "monday" in words(await understood(played(first)))
    await ended(own, session_id)
    assert "monday" in words(own.said(session_id, "agent"))
    assert own.stop() == 0
    assert "Traceback" not in own.log


@scenes.add
async def a_file_without_speech_gets_an_honest_answer(served: Served) -> None:
    session_id = str(uuid.uuid4())
    async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:
        await socket.send(wav_file(np.zeros(2 * PIPELINE_RATE_HZ, np.int16)))
        heard = await understood(await replies(socket, quiet_s=1.0))
    assert "catch" in heard or "hear" in heard, heard
    assert served.said(session_id, "user") == "", "nobody spoke"


@scenes.add
async def two_files_one_after_the_other(served: Served) -> None:
    """The second comes while the first is being answered: its answer follows, and the first counts as far as sent."""
    session_id = str(uuid.uuid4())
    async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:
        await socket.send(wav_file(await spoken(QUESTION)))
        first = played(await asyncio.wait_for(socket.recv(), PATIENCE_S))
        await socket.send(wav_file(await spoken("Where is your office?")))
        second = played(await asyncio.wait_for(socket.recv(), PATIENCE_S))
    await ended(served, session_id)
    assert "monday" in words(await understood(first))
    assert "bridge" in words(await understood(second))
    entries = served.transcript(session_id)
    assert [(entry.turn, entry.role) for entry in entries] == [(1, "user"), (1, "agent"), (2, "user"), (2, "agent")]
    assert entries[1].state == "interrupted"


@scenes.add
async def a_pause_in_a_file_ends_no_turn(served: Served) -> None:
    """The end of the message is the end of the turn, and nothing before it is."""
    session_id = str(uuid.uuid4())
    pause = np.zeros(PIPELINE_RATE_HZ * 3 // 4, np.int16)
    parts = [await spoken("I would like to know something."), pause, await spoken(QUESTION)]
    async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:
        await socket.send(wav_file(np.concatenate(parts)))
        answer = played(await asyncio.wait_for(socket.recv(), PATIENCE_S))
    await ended(served, session_id)
    assert is_understood("something " + QUESTION, served.said(session_id, "user"))
    assert [entry.turn for entry in served.transcript(session_id)] == [1, 1]
    assert "monday" in words(await understood(answer))


@scenes.add
async def the_same_session_id_again(served: Served) -> None:
    """A client without imagination: the same address for every call."""
    for _ in range(2):
        async with websockets.connect(f"ws://localhost:{served.port}/voice/demo") as socket:
            await socket.send(wav_file(await spoken(QUESTION)))
            assert played(await asyncio.wait_for(socket.recv(), PATIENCE_S)).size > 0
    await ended(served, "demo")
    assert is_understood(QUESTION, served.said("demo", "user"))


def recorded_chunks(samples: Samples, container: str, slice_s: float = 0.1) -> Iterator[bytes]:
    """What a MediaRecorder gives: one growing Opus stream, cut wherever a time slice ends, not at block borders."""
    grown = _Growing()
    options = {"live": "1", "cluster_time_limit": "100"} if container == "webm" else {}
    with av.open(grown, "w", format=container, options=options) as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        loud = resample_whole(samples, PIPELINE_RATE_HZ, 48_000)
        step = int(slice_s * 48_000)
        for at in range(0, loud.size, step):
            frame = av.AudioFrame.from_ndarray(loud[at : at + step].reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, at
            for packet in stream.encode(frame):
                file.mux(packet)
            yield grown.taken()
        for packet in stream.encode(None):
            file.mux(packet)
    yield grown.taken()


class _Growing(io.RawIOBase):
    """A file that can only be written on."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._data += bytes(data)
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


async def in_real_time(chunks: Iterator[bytes], slice_s: float = 0.1) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    due = loop.time()
    for chunk in chunks:
        due += slice_s
        await asyncio.sleep(max(0.0, due - loop.time()))
        yield chunk


@scenes.add
async def a_media_recorders_stream(served: Served) -> None:
    session_id = str(uuid.uuid4())
    speech = np.concatenate([await spoken(QUESTION), np.zeros(6 * PIPELINE_RATE_HZ, np.int16)])
    async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:

        async def record() -> None:
            async for chunk in in_real_time(recorded_chunks(speech, "webm")):
                await socket.send(chunk)  # a recorder sends empty blobs too

        async with asyncio.TaskGroup() as tasks:
            recorder = tasks.create_task(record())
            answer = played(await asyncio.wait_for(socket.recv(), PATIENCE_S))
            recorder.cancel()
    await ended(served, session_id)
    assert is_understood(QUESTION, served.said(session_id, "user"))
    assert "monday" in words(await understood(answer))


@scenes.add
async def ogg_in_one_message(served: Served) -> None:
    session_id = str(uuid.uuid4())
    whole = b"".join(recorded_chunks(await spoken(QUESTION), "ogg"))
    async with websockets.connect(f"ws://localhost:{served.port}/voice/{session_id}") as socket:
        await socket.send(whole)
        assert played(await asyncio.wait_for(socket.recv(), PATIENCE_S)).size > 0
    await ended(served, session_id)
    assert is_understood(QUESTION, served.said(session_id, "user"))


@pytest.mark.parametrize("scene", scenes.names)
def test_call(outcomes: dict[str, BaseException | None], scene: str) -> None:
    tell(outcomes[scene])


def test_no_call_left_a_traceback(served: Served) -> None:
    assert "Traceback" not in served.log
    assert Path(served.data_dir, "redis").is_dir()
