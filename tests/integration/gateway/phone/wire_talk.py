"""A carrier of a few lines, for what a well-behaved one never does: raw messages over a raw socket."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
from twilio.request_validator import RequestValidator

SECRET = "0123456789abcdef"
HOME = "https://gate.example.com"
SIGNER = RequestValidator(SECRET)
STREAM_SIGNATURE = {"X-Twilio-Signature": SIGNER.compute_signature("wss://gate.example.com/phone/twilio", {})}
GUARDED: dict[str, Any] = {"twilio_auth_token": SECRET, "public_url": HOME}


class Reachable(Protocol):
    """A running gateway."""

    @property
    def url(self) -> str: ...

    @property
    def http(self) -> str: ...


def start(token: str = "", call_id: str = "CA1", stream_id: str = "MZ1") -> dict[str, Any]:
    """Twilio's start message."""
    return {
        "event": "start",
        "streamSid": stream_id,
        "start": {
            "accountSid": "AC1",
            "streamSid": stream_id,
            "callSid": call_id,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token} if token else {},
        },
    }


def media(payload: bytes, at_ms: int, stream_id: str = "MZ1") -> dict[str, Any]:
    encoded = base64.b64encode(payload).decode()
    body = {"track": "inbound", "timestamp": str(at_ms), "payload": encoded}
    return {"event": "media", "streamSid": stream_id, "media": body}


@asynccontextmanager
async def connected(
    gateway: Reachable, path: str = "/phone/twilio", **options: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as http, http.ws_connect(gateway.url + path, **options) as socket:
        yield socket


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int:
    """Read to the close; its code."""
    while not socket.closed:
        await socket.receive(timeout=10)
    return socket.close_code or 0


async def webhook(
    gateway: Reachable,
    fields: dict[str, str],
    *,
    query: str = "",
    signature: str | None = None,
    carrier: str = "twilio",
) -> tuple[int, str]:
    """Post a webhook, signed as Twilio does unless told otherwise; status and body."""
    address = f"/phone/{carrier}/answer{query}"
    signed = SIGNER.compute_signature(HOME + address, fields) if signature is None else signature
    headers = {"X-Twilio-Signature": signed} if signed else {}
    async with (
        aiohttp.ClientSession() as http,
        http.post(gateway.http + address, data=fields, headers=headers) as response,
    ):
        return response.status, await response.text()


def token_of(twiml: str) -> str:
    return twiml.partition('name="token" value="')[2].partition('"')[0]


async def say(socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]) -> None:
    await socket.send_str(json.dumps(message))
