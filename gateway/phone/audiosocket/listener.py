"""Where AudioSocket listens: a TCP server beside the gateway's HTTP server, with the same admission and limits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from gateway.admission import Knock
from gateway.close_codes import CloseCode
from gateway.parts import GatewayParts
from gateway.phone.audiosocket.config import AudioSocketConfig
from gateway.phone.audiosocket.line import TcpLine
from gateway.phone.audiosocket.protocol import NAME, AudioSocketProtocol
from gateway.phone.carrying import carry_call
from gateway.phone.parts import PhoneParts
from gateway.phone.reception import Standing
from voicegate.kernel.errors import ConfigError, RefusedCall, StateUnavailable

_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def audiosocket_listener(
    parts: GatewayParts, phones: PhoneParts, config: AudioSocketConfig, tasks: asyncio.TaskGroup
) -> AsyncIterator[int]:
    """Listen while entered; gives the port. Connections belong to ``tasks`` and end with the gateway's others
    (:meth:`gateway.parts.Connections.close_all`).

    Raises:
        ConfigError: the address cannot be listened on.
    """
    door = AudioSocketDoor(parts, phones, config)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.create_task(door.take(reader, writer))

    try:
        shared = parts.config.worker is not None  # several processes listen on one port, and the kernel deals out
        server = await asyncio.start_server(connected, config.host, config.port, reuse_port=shared or None)
    except OSError as error:
        raise ConfigError(
            f"cannot listen for AudioSocket on {config.host}:{config.port}: {error.strerror or error}"
        ) from error
    try:
        port = int(server.sockets[0].getsockname()[1])
        _log.info("AudioSocket listens", host=config.host, port=port)
        yield port
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class AudioSocketDoor:
    """Takes the connections."""

    parts: GatewayParts
    phones: PhoneParts
    config: AudioSocketConfig

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end. Never raises, but when it is cancelled."""
        line = TcpLine(reader, writer, self.parts.clock.monotonic)
        protocol = AudioSocketProtocol(self.config.options)
        try:
            await self._carry(line, protocol, writer)
        except (RefusedCall, StateUnavailable) as refusal:
            _log.info("AudioSocket connection refused", code=refusal.code)
            for send in protocol.refused(refusal.code):
                line.send_audio(send.data, 0.0)
        except Exception:
            _log.exception("an AudioSocket connection failed")
        finally:
            await line.close(CloseCode.NORMAL, "")  # a peer that has gone leaves its half open

    async def _carry(self, line: TcpLine, protocol: AudioSocketProtocol, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        knock = Knock(session_id=NAME, peer=str(peer[0]) if peer else "", host=self.config.host)
        # Whether the call may begin is decided when its UUID comes; here it is only whether there is room.
        admission = self.parts.admission
        await admission.admit_line(knock, proven=False, guarded=True, known=True)
        standing = Standing(vouched=False, anonymous=self.config.open, full=lambda: admission.full(NAME))
        with self.parts.admission.seat(), self.parts.connections.member() as leaving:
            await carry_call(self.parts, self.phones, line, protocol, standing, leaving, provider=NAME)
