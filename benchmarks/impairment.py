"""A bad network: what becomes of each packet, as a pure model, and as a small UDP relay that does it to real ones.

Time is seconds since the network began. The model is deterministic for a seed, so that two runs suffer alike.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch in which nothing comes through."""

    begin_s: float
    length_s: float
    held: bool = False
    """What is sent meanwhile comes all at once when it is over (a radio link), or never (a route that is gone)."""


@dataclass(frozen=True, slots=True)
class Network:
    """One direction of a path. Chances are of each packet for itself."""

    loss: float = 0.0
    jitter_s: float = 0.0
    """Each packet is delayed by 0 to this, evenly, independently of its neighbours: they overtake each other."""
    delay_s: float = 0.0
    in_order: bool = False
    """Nothing is overtaken: a packet that is delayed holds up those behind it, as a queue does."""
    duplicated: float = 0.0
    outages: tuple[Outage, ...] = ()


_GOOD = Network()


class Path:
    """Packets on their way through a :class:`Network`."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._random = random.Random(seed)
        self._newest = 0.0

    def carry(self, sent_s: float) -> list[float]:
        """When a packet that is sent at ``sent_s`` arrives: once, twice or never."""
        network, chance = self._network, self._random.random
        arrives = sent_s + network.delay_s + network.jitter_s * chance()
        lost, twice, again = chance() < network.loss, chance() < network.duplicated, network.jitter_s * chance()
        for outage in network.outages:
            if outage.begin_s <= sent_s < outage.begin_s + outage.length_s:
                lost = lost or not outage.held
                arrives = max(arrives, outage.begin_s + outage.length_s + network.delay_s)
        if lost:
            return []
        if network.in_order:
            arrives = self._newest = max(arrives, self._newest)
        return [arrives, arrives + again] if twice else [arrives]


class _Side(asyncio.DatagramProtocol):
    """One socket of a relay: what comes in leaves by the other one."""

    def __init__(self, network: Network, seed: int, peer: Address | None = None) -> None:
        self.peer = peer
        self.other: _Side | None = None
        self.transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()
        self.become(network, seed)

    def become(self, network: Network, seed: int) -> None:
        self._path = Path(network, seed)
        self._began = self._loop.time()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.peer = self.peer or addr
        for arrives in self._path.carry(self._loop.time() - self._began):
            self._loop.call_at(self._began + arrives, self._pass_on, data)

    def error_received(self, exc: Exception) -> None:
        """The peer is not there (yet): as on a real path, nobody tells."""

    def _pass_on(self, data: bytes) -> None:
        other = self.other
        if other is None or other.peer is None or other.transport is None or other.transport.is_closing():
            return
        other.transport.sendto(data, other.peer)


class Relay:
    """A bad network before one target, for one peer: the first that sends."""

    def __init__(self, front: _Side, behind: _Side, address: Address) -> None:
        self.address = address
        """Where the peer finds the target."""
        self._front = front
        self._behind = behind

    def become(self, there: Network, back: Network, *, seed: int = 1) -> None:
        """Another network begins now: ``there`` on the way to the target, ``back`` on the way from it."""
        self._front.become(there, seed)
        self._behind.become(back, seed + 1)


@asynccontextmanager
async def relay(
    target: Address, there: Network = _GOOD, back: Network = _GOOD, *, seed: int = 1, host: str = "127.0.0.1"
) -> AsyncIterator[Relay]:
    """A relay before ``target``; see :meth:`Relay.become`."""
    loop = asyncio.get_running_loop()
    front, behind = _Side(there, seed), _Side(back, seed + 1, target)
    front.other, behind.other = behind, front
    first, _ = await loop.create_datagram_endpoint(lambda: front, local_addr=(host, 0))
    second, _ = await loop.create_datagram_endpoint(lambda: behind, local_addr=(host, 0))
    try:
        yield Relay(front, behind, first.get_extra_info("sockname")[:2])
    finally:
        first.close()
        second.close()
