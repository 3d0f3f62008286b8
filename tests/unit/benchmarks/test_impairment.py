"""The bad network does what it says: the model packet by packet, and the relay with real datagrams."""

import asyncio

import pytest

from benchmarks.impairment import Address, Network, Outage, Path, relay

PACKETS = 4_000


def arrivals(network: Network, seed: int = 1) -> list[list[float]]:
    path = Path(network, seed)
    return [path.carry(number * 0.02) for number in range(PACKETS)]


def delays(network: Network) -> list[float]:
    return [at - number * 0.02 for number, all_at in enumerate(arrivals(network)) for at in all_at]


def test_a_good_network_only_takes_its_time() -> None:
    assert delays(Network(delay_s=0.03)) == pytest.approx([0.03] * PACKETS)


def test_the_same_seed_suffers_alike_and_another_one_does_not() -> None:
    bad = Network(loss=0.1, jitter_s=0.05, duplicated=0.1)
    assert arrivals(bad) == arrivals(bad)
    assert arrivals(bad) != arrivals(bad, seed=2)


@pytest.mark.parametrize("loss", [0.05, 0.3])
def test_loss_is_what_was_asked_for(loss: float) -> None:
    lost = sum(not each for each in arrivals(Network(loss=loss)))
    assert lost / PACKETS == pytest.approx(loss, abs=0.015)


def test_jitter_is_even_and_lets_packets_overtake() -> None:
    seen = delays(Network(jitter_s=0.05))
    assert 0 <= min(seen) < 0.001
    assert 0.049 < max(seen) <= 0.05
    assert sum(seen) / len(seen) == pytest.approx(0.025, abs=0.001)
    times = [at for [at] in arrivals(Network(jitter_s=0.05))]
    assert times != sorted(times)


def test_in_order_nobody_overtakes() -> None:
    times = [at for [at] in arrivals(Network(jitter_s=0.1, in_order=True))]
    assert times == sorted(times)


def test_duplicates_come_a_second_time() -> None:
    twice = sum(len(each) == 2 for each in arrivals(Network(duplicated=0.2)))
    assert twice / PACKETS == pytest.approx(0.2, abs=0.02)


def test_an_outage_takes_what_is_sent_in_it() -> None:
    came = arrivals(Network(outages=(Outage(1.0, 0.5),)))
    assert [number for number, each in enumerate(came) if not each] == list(range(50, 75))


def test_or_holds_it_up() -> None:
    came = arrivals(Network(delay_s=0.01, outages=(Outage(1.0, 0.5, held=True),)))
    assert {at for each in came[50:75] for at in each} == {1.51}
    assert came[75] == [pytest.approx(1.51)]


# --- the relay ----------------------------------------------------------------------------------------------------


class Echo(asyncio.DatagramProtocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.transport.sendto(b"back " + data, addr)


class Sink(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.got.put_nowait(data)


async def talk(there: Network, back: Network, send: list[bytes], expect: int) -> list[bytes]:
    """Send through a relay to an echo; what comes back first."""
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    target: Address = echo.get_extra_info("sockname")
    async with relay(target) as between:
        between.become(there, back)
        client, sink = await loop.create_datagram_endpoint(Sink, remote_addr=between.address)
        for each in send:
            client.sendto(each)
        async with asyncio.timeout(10):
            got = [await sink.got.get() for _ in range(expect)]
        client.close()
    echo.close()
    await asyncio.sleep(0)
    return got


async def test_datagrams_pass_both_ways() -> None:
    assert await talk(Network(), Network(), [b"one"], 1) == [b"back one"]


async def test_each_direction_has_its_own_network() -> None:
    assert await talk(Network(duplicated=1.0), Network(), [b"one"], 2) == [b"back one"] * 2
    assert await talk(Network(), Network(duplicated=1.0), [b"one"], 2) == [b"back one"] * 2


async def test_what_is_lost_does_not_come() -> None:
    sent = [b"%d" % number for number in range(200)]
    got = await talk(Network(loss=0.5), Network(), sent, 60)
    assert set(got) < {b"back " + each for each in sent}
