"""LiveKit Agents 1.8.9 answering Twilio Media Streams with simulated stages. Runs in an environment of its own.

``python livekit_server.py PORT``. An ``AgentSession`` with its own audio input and output, without a LiveKit server:
its room transport would only add to what is measured. Silero is the plugin's, one model a process; turns end by voice
activity; replies are prepared ahead as its defaults have it; uvloop.
"""

import asyncio
import base64
import json
import logging
import sys
import time

import numpy as np
import stages
import uvloop
from aiohttp import web
from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN
from livekit.agents.voice import Agent, AgentSession
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins import silero

RATE_HZ = 8000
FRAME = 160
AHEAD_S = 0.1
SPEECH_PEAK = 500
SILENCE_S = 0.2


def _tables():
    """mu-law both ways (ITU-T G.711), as numpy tables."""
    code = np.arange(256, dtype=np.int32) ^ 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    decode = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    order = np.argsort(decode, kind="stable")
    middles = (decode[order][1:].astype(np.int32) + decode[order][:-1]) // 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    encode = order[np.searchsorted(middles, samples, side="left")].astype(np.uint8)
    return decode, encode


DECODE, ENCODE = _tables()


class Ears(stt.STT):
    """Text, some time after the speech."""

    def __init__(self):
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, buffer, *, language=NOT_GIVEN, conn_options):
        raise RuntimeError("only streams")

    def stream(self, *, language=NOT_GIVEN, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS):
        return EarsStream(stt=self, conn_options=conn_options)


class EarsStream(stt.RecognizeStream):
    async def _run(self):
        speaking, silent_s = False, 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            loud = np.abs(np.frombuffer(frame.data, np.int16)).max(initial=0) > SPEECH_PEAK
            silent_s = 0.0 if loud else silent_s + frame.duration
            if loud:
                speaking = True
            elif speaking and silent_s >= SILENCE_S:
                speaking = False
                asyncio.get_running_loop().call_later(stages.STT_S, self._tell)

    def _tell(self):
        if not self._event_ch.closed:
            data = stt.SpeechData(language="en", text=stages.TRANSCRIPT)
            kind = stt.SpeechEventType.FINAL_TRANSCRIPT
            self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))


class Mind(llm.LLM):
    """The same answer to everything."""

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return MindStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class MindStream(llm.LLMStream):
    async def _run(self):
        await asyncio.sleep(stages.FIRST_TOKEN_S)
        for token in stages.tokens():
            delta = llm.ChoiceDelta(role="assistant", content=token)
            self._event_ch.send_nowait(llm.ChatChunk(id="answer", delta=delta))
            await asyncio.sleep(stages.TOKEN_S)


class Voice(tts.TTS):
    """A tone as long as the words would take."""

    def __init__(self):
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE_HZ, num_channels=1)

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return VoiceStream(tts=self, input_text=text, conn_options=conn_options)


class VoiceStream(tts.ChunkedStream):
    async def _run(self, output_emitter):
        await asyncio.sleep(stages.TTS_FIRST_BYTE_S)
        output_emitter.initialize(
            request_id="speech", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm", frame_size_ms=20
        )
        output_emitter.push(stages.tone(int(stages.speech_s(self.input_text) * RATE_HZ)))
        output_emitter.flush()


class LineIn(AudioInput):
    """The caller's frames."""

    def __init__(self):
        super().__init__(label="line")
        self.frames = asyncio.Queue()

    async def __anext__(self):
        frame = await self.frames.get()
        if frame is None:
            raise StopAsyncIteration
        return frame


class LineOut(AudioOutput):
    """The agent's frames, in real time and at most a little ahead."""

    def __init__(self, socket, stream_sid):
        super().__init__(label="line", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE_HZ)
        self.socket, self.stream_sid = socket, stream_sid
        self.plays_until = self.pushed_s = 0.0
        self.rest = b""
        self.ending = None

    async def capture_frame(self, frame):
        await super().capture_frame(frame)
        now = time.monotonic()
        if not self.pushed_s:
            self.plays_until = now
            self.on_playback_started(created_at=time.time())
        self.pushed_s += frame.duration
        self.rest += ENCODE[np.frombuffer(frame.data, np.uint16)].tobytes()
        while len(self.rest) >= FRAME:
            packet, self.rest = self.rest[:FRAME], self.rest[FRAME:]
            ahead = self.plays_until - time.monotonic()
            if ahead > AHEAD_S:
                await asyncio.sleep(ahead - AHEAD_S)
            self.plays_until = max(self.plays_until, time.monotonic()) + 0.02
            media = {"payload": base64.b64encode(packet).decode()}
            await self.socket.send_str(json.dumps({"event": "media", "streamSid": self.stream_sid, "media": media}))

    def flush(self):
        super().flush()
        if self.pushed_s:
            left = max(0.0, self.plays_until - time.monotonic())
            self.ending = asyncio.get_running_loop().call_later(left, self._finish, False)

    def clear_buffer(self):
        if self.ending:
            self.ending.cancel()
        if self.pushed_s:
            self._finish(True)

    def _finish(self, interrupted):
        played, self.pushed_s, self.rest = self.pushed_s, 0.0, b""
        self.on_playback_finished(playback_position=played, interrupted=interrupted)


async def twilio(request):
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    await socket.receive()
    stream_sid = json.loads((await socket.receive()).data)["start"]["streamSid"]
    line = LineIn()
    session = AgentSession(
        stt=Ears(),
        vad=request.app["vad"],
        llm=Mind(),
        tts=Voice(),
        turn_handling={"turn_detection": "vad", "endpointing": {"min_delay": stages.ENDPOINTING_S - SILENCE_S}},
        user_away_timeout=None,
        aec_warmup_duration=None,
    )
    session.input.audio = line
    session.output.audio = LineOut(socket, stream_sid)
    await session.start(Agent(instructions=""), record=False)
    try:
        async for message in socket:
            data = json.loads(message.data)
            if data["event"] == "media":
                samples = DECODE[np.frombuffer(base64.b64decode(data["media"]["payload"]), np.uint8)]
                line.frames.put_nowait(rtc.AudioFrame(samples.tobytes(), RATE_HZ, 1, samples.size))
            elif data["event"] == "stop":
                break
    finally:
        line.frames.put_nowait(None)
        await session.aclose()
    return socket


async def ready(_request):
    return web.json_response({"status": "ok"})


def main():
    logging.basicConfig(level=logging.ERROR)
    app = web.Application()
    app["vad"] = silero.VAD.load(sample_rate=RATE_HZ, min_silence_duration=SILENCE_S)
    app.router.add_get("/twilio", twilio)
    app.router.add_get("/health/ready", ready)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
