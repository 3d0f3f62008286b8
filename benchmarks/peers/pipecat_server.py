"""pipecat 1.14 answering Twilio Media Streams with simulated stages. Runs in an environment of its own.

``python pipecat_server.py PORT``. Set up as its documentation recommends for phones: FastAPI transport with the Twilio
serializer, audio at 8 kHz, Silero in the user aggregator, uvloop under uvicorn. Its end-of-turn model is left out (the
others have none either): the turn ends by time, which is the cheaper of its two ways.
"""

import asyncio
import json
import sys

import stages
import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

RATE_HZ = 8000
VAD_STOP_S = 0.2


class Ears(SegmentedSTTService):
    """Text, some time after the speech."""

    @property
    def wants_wav_segments(self):
        return False

    async def run_stt(self, audio):
        await asyncio.sleep(stages.STT_S)
        yield TranscriptionFrame(stages.TRANSCRIPT, "", time_now_iso8601())


class Mind(LLMService):
    """The same answer to everything."""

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await asyncio.sleep(stages.FIRST_TOKEN_S)
        for token in stages.tokens():
            await self.push_frame(LLMTextFrame(token))
            await asyncio.sleep(stages.TOKEN_S)
        await self.push_frame(LLMFullResponseEndFrame())


class Voice(TTSService):
    """A tone as long as the words would take."""

    async def run_tts(self, text, context_id):
        await asyncio.sleep(stages.TTS_FIRST_BYTE_S)
        left = int(stages.speech_s(text) * RATE_HZ)
        while left > 0:
            samples = min(left, RATE_HZ // 10)
            left -= samples
            yield TTSAudioRawFrame(stages.tone(samples), RATE_HZ, 1, context_id=context_id)


app = FastAPI()


@app.websocket("/twilio")
async def twilio(websocket: WebSocket):
    await websocket.accept()
    await websocket.receive_text()
    start = json.loads(await websocket.receive_text())["start"]
    serializer = TwilioFrameSerializer(
        stream_sid=start["streamSid"],
        call_sid=start["callSid"],
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
    )
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=max(0.0, stages.ENDPOINTING_S - VAD_STOP_S))
    pair = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=VAD_STOP_S)),
            user_turn_strategies=UserTurnStrategies(stop=[stop]),
        ),
    )
    parts = [transport.input(), Ears(), pair.user(), Mind(), Voice(push_start_frame=True, push_stop_frames=True)]
    worker = PipelineWorker(
        Pipeline([*parts, transport.output(), pair.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
    )

    @transport.event_handler("on_client_disconnected")
    async def gone(_transport, _client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


@app.get("/health/ready")
async def ready():
    return {"status": "ok"}


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", loop="uvloop")
