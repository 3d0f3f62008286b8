"""The HTTP half of a WebSocket: aiohttp reads the request and writes the ``101``, then the bytes are ours.

aiohttp's own WebSocket costs a coroutine, a queue and several objects for every message; a call has a hundred a second.
So the connection's parser is :class:`gateway.websocket.link.Link`: what a read gave goes straight into it.
"""

from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.websocket.rfc6455 import shake_hands

_GONE: Final = "the client left during the upgrade"


class Upgrade(web.StreamResponse):
    """The response to an upgrade; see :func:`gateway.websocket.link.open_socket`."""

    def __init__(self, *, protocols: tuple[str, ...], max_message_bytes: int, heartbeat_s: float) -> None:
        super().__init__(status=101)
        self._protocols = protocols
        self.max_message_bytes = max_message_bytes
        self.heartbeat_s = heartbeat_s
        self.connection: RequestHandler | None = None
        """aiohttp's side of the connection, once the handshake is sent."""

    def can_prepare(self, request: web.BaseRequest) -> bool:
        """Whether the request is a handshake that we can answer."""
        return shake_hands(request.headers, self._protocols) is not None

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send the handshake.

        Raises:
            ConnectionResetError: the client is gone.
            ValueError: no handshake (see :meth:`can_prepare`).
        """
        if self.connection is not None:
            return  # aiohttp prepares what a handler returns
        handshake = shake_hands(request.headers, self._protocols)
        if handshake is None:
            raise ValueError("not a WebSocket handshake")
        if request.transport is None:
            raise ConnectionResetError(_GONE)
        self.headers["Upgrade"] = "websocket"
        self.headers["Connection"] = "upgrade"
        self.headers["Sec-WebSocket-Accept"] = handshake.accept
        if handshake.subprotocol:
            self.headers["Sec-WebSocket-Protocol"] = handshake.subprotocol
        self.force_close()
        await super().prepare(request)
        if request.transport is None:
            raise ConnectionResetError(_GONE)
        self.connection = request.protocol
        self.connection.keep_alive(False)
