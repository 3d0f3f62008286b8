"""A server on the loopback that speaks OpenAI's audio transcription, in place of the vendor.

It takes the multipart form apart, decodes the WAV with the standard library and answers by what is in it: the number of
bursts of sound, in words. So a test sees whether the right audio arrived, whole and in order.
"""

import asyncio
import io
import math
import wave
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from aiohttp import web

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_QUIET_RMS = 100.0
_STEP_S = 0.02
_PAUSE_STEPS = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as the server understood it."""

    fields: dict[str, str]
    authorization: str
    filename: str
    rate_hz: int
    channels: int
    duration_s: float
    rms: float
    bursts: int
    """Stretches of sound with at least 100 ms of quiet between them."""


def counted(heard: Heard) -> str:
    """The default answer: how many bursts there were; nothing for silence."""
    return f"{WORDS[min(heard.bursts, 10)].capitalize()}." if heard.bursts else ""


@dataclass(slots=True)
class Switches:
    """How the server behaves from the next request on."""

    latency_s: float = 0.0
    status: int = 200
    code: str | None = None
    """The ``code`` of the error object, for example ``insufficient_quota``."""
    stall: bool = False
    """Send the head of the answer and then nothing."""
    cut: bool = False
    """Break the connection in the middle of the answer."""
    garbage: bool = False
    """Answer 200 with something that is not JSON."""
    logprobs: tuple[float, ...] = ()
    answer: Callable[[Heard], str] = counted


class OpenAIAudioServer:
    """``async with OpenAIAudioServer() as vendor: OpenAITranscriptionConfig(base_url=vendor.base_url, …)``."""

    def __init__(self) -> None:
        self.switches = Switches()
        self.heard: list[Heard] = []
        self.under_way = 0
        self.most_under_way = 0
        self.base_url = ""
        self._over = asyncio.Event()
        app = web.Application(client_max_size=25 * 2**20)  # the vendor's own limit
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        switches = self.switches
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            heard = await _read(request)
            self.heard.append(heard)
            await asyncio.sleep(switches.latency_s)
            if switches.status != 200:
                return _refusal(switches.status, f"asked to fail with {switches.status}", switches.code)
            if not heard.authorization.startswith("Bearer "):
                return _refusal(401, "You didn't provide an API key.", None)
            if heard.duration_s < 0.1:
                return _refusal(400, "Audio file is too short. Minimum audio length is 0.1 seconds.", "audio_too_short")
            if switches.stall or switches.cut:
                return await self._broken(request)
            if switches.garbage:
                return web.Response(text="<html>Bad Gateway</html>", content_type="application/json")
            return web.json_response(_answer(heard, switches))
        except (ValueError, KeyError, wave.Error, EOFError) as error:
            return _refusal(400, f"Invalid file format: {error}", None)
        finally:
            self.under_way -= 1

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "200"})
        await response.prepare(request)
        await response.write(b'{"text":"On')
        if self.switches.stall:
            await self._over.wait()
        assert request.transport is not None
        request.transport.abort()
        return response


def _answer(heard: Heard, switches: Switches) -> dict[str, Any]:
    body: dict[str, Any] = {
        "text": switches.answer(heard),
        "usage": {"type": "duration", "seconds": math.ceil(heard.duration_s)},
    }
    if "logprobs" in heard.fields.get("include[]", ""):
        body["logprobs"] = [{"token": "x", "logprob": value, "bytes": [120]} for value in switches.logprobs]
    return body


def _refusal(status: int, message: str, code: str | None) -> web.Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return web.json_response({"error": {"message": message, "type": kind, "param": None, "code": code}}, status=status)


async def _read(request: web.Request) -> Heard:
    form = await request.post()
    upload = form["file"]
    if not isinstance(upload, web.FileField):
        raise ValueError("field 'file' is not a file")
    if not form.get("model"):
        raise ValueError("field 'model' is missing")
    with upload.file, wave.open(io.BytesIO(upload.file.read())) as audio:
        rate_hz, channels = audio.getframerate(), audio.getnchannels()
        if audio.getsampwidth() != 2:
            raise ValueError("not 16-bit")
        samples = np.frombuffer(audio.readframes(audio.getnframes()), np.int16).astype(np.float64)
    return Heard(
        fields={name: value for name, value in form.items() if isinstance(value, str)},
        authorization=request.headers.get("Authorization", ""),
        filename=upload.filename,
        rate_hz=rate_hz,
        channels=channels,
        duration_s=samples.size / channels / rate_hz,
        rms=float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0,
        bursts=_bursts(samples, int(rate_hz * channels * _STEP_S)),
    )


def _bursts(samples: np.ndarray[Any, np.dtype[np.float64]], step: int) -> int:
    count, quiet = 0, _PAUSE_STEPS
    for at in range(0, samples.size - step + 1, step):
        if math.sqrt(float(np.mean(samples[at : at + step] ** 2))) < _QUIET_RMS:
            quiet += 1
            continue
        count += quiet >= _PAUSE_STEPS
        quiet = 0
    return count
