"""What the driver needs of a connection: an aiohttp WebSocket (:class:`gateway.websocket.link.Link`), or a TCP line."""

from collections.abc import Sequence
from typing import Protocol

from gateway.close_codes import CloseCode
from gateway.websocket.link import Received, Take


class Wire(Protocol):
    """Sends do not wait. On a bare TCP line every received piece of bytes is a ``BinaryMessage``."""

    def offer_to(self, take: Take) -> None:
        """Messages may be offered to ``take`` as they come (:meth:`gateway.websocket.link.Link.offer_to`)."""
        ...

    async def receive(self) -> Received: ...

    def send_texts(self, texts: Sequence[bytes]) -> None:
        """Several messages, in one go."""
        ...

    def send_audio(self, data: bytes, audio_ms: float) -> None: ...

    @property
    def idle(self) -> bool:
        """Nothing was waiting at the last measurement and nothing was written since."""
        ...

    def unsent_bytes(self) -> int: ...

    def unsent_audio_ms(self) -> float:
        """Also notes whether the peer takes anything (see :meth:`stuck_s`)."""
        ...

    def stuck_s(self) -> float:
        """Seconds without progress, as of the last :meth:`unsent_audio_ms`."""
        ...

    async def close(self, code: CloseCode, reason: str) -> None: ...
