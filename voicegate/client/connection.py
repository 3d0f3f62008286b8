"""Opening the socket of ``WS /voice/{session_id}``, and saying in words why it could not be opened."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import aiohttp

from voicegate.client.formats import Encoding
from voicegate.kernel.errors import VoicegateError

Via: TypeAlias = Literal["ws", "simple", "webrtc"]

SUBPROTOCOL = "voice.v1"
_CONNECT_S = 10.0


class CallFailed(VoicegateError):
    """The call could not be made, or broke. The message says why and what to do."""

    code = "call_failed"


class GatewayUnreachable(CallFailed):
    """Nobody listens at the address."""

    code = "gateway_unreachable"


@dataclass(frozen=True, slots=True)
class Resume:
    """A call to continue."""

    secret: str
    """Of the ``session.welcome``."""
    last_seq: int


@dataclass(frozen=True, slots=True)
class CallTarget:
    """Whom to call and how."""

    session_id: str
    url: str = "ws://127.0.0.1:8000"
    """The gateway: ``ws://``, ``wss://``, ``http://`` or ``https://``, host and port."""
    via: Via = "ws"
    """``ws`` is the full profile ``voice.v1``; ``simple`` sends whole WAV files and gets whole clips; ``webrtc`` calls
    by WHIP, with the events on a data channel."""
    encoding: Encoding = "pcm16"
    """Of both directions, in the full profile."""
    token: str = ""
    agent: str = ""
    greeting: bool = True
    context: dict[str, str] = field(default_factory=dict)
    jitter_ms: float = 40.0
    """The jitter buffer of the imagined loudspeaker."""
    resume: Resume | None = None

    @property
    def address(self) -> str:
        base = self.url.rstrip("/")
        for plain, socket in (("http://", "ws://"), ("https://", "wss://")):
            if base.startswith(plain):
                base = socket + base.removeprefix(plain)
        return f"{base}/voice/{self.session_id}"


async def connect(http: aiohttp.ClientSession, target: CallTarget) -> aiohttp.ClientWebSocketResponse:
    """Open the socket.

    Raises:
        GatewayUnreachable: nobody listens there.
        CallFailed: the gateway refused the call.
    """
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    protocols = (SUBPROTOCOL,) if target.via == "ws" else ()
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await http.ws_connect(target.address, headers=headers, protocols=protocols, max_msg_size=0)
    except aiohttp.WSServerHandshakeError as error:
        raise CallFailed(f"the gateway at {target.url} refused the call: {_meaning(error.status)}") from error
    except (aiohttp.ClientConnectionError, TimeoutError) as error:
        why = f"no gateway answers at {target.url}: start one with `voicegate serve`, or name another by --url"
        raise GatewayUnreachable(why) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise CallFailed(f"{target.address} cannot be called: {error}") from error


def _meaning(status: int) -> str:
    match status:
        case 401:
            return "it wants a token (give one by --token)"
        case 403:
            return "the token does not allow this call, or calls without a token are taken from its own machine only"
        case 404:
            return "it has no such address; is it a voicegate gateway?"
        case 429:
            return "too many calls from here; wait a moment"
        case 503:
            return "it is full, shutting down or not ready; see its /health/ready"
        case _:
            return f"HTTP status {status}"
