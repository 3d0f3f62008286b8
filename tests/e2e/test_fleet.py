"""Two gateways on one Redis behind a plain load balancer: one of them dies, and nobody has to know which."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.balancer import balancing
from tests.e2e.served import ROOT, Served
from tests.e2e.wire import Wire, wire
from voicegate.kernel.ids import new_session_id

QUESTION = "What time is it?"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[list[Served]]:
    """Two gateways that share a data folder, and so its embedded Redis."""
    gateways = [Served(tmp_path / "shared", {"VOICEGATE_DRAIN_S": "0"}) for _ in range(2)]
    for gateway in gateways:
        gateway.start()
    yield gateways
    for gateway in gateways:
        gateway.close()


async def answered(client: Wire) -> str:
    before = len(client.of("reply.finished"))
    await client.send("text", text=QUESTION)
    await client.until(lambda: len(client.of("reply.finished")) > before, 30)
    return str(client.of("reply.finished")[-1]["text"])


async def resumed(client: Wire, secret: str, last_seq: int) -> None:
    await client.send("session.resume", lastSeq=last_seq, secret=secret)
    assert (await client.first("session.welcome"))["resumed"] is True


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_call_goes_on_through_the_same_address(fleet: list[Served], number: signal.Signals) -> None:
    session_id, seqs = new_session_id(), [0]
    async with balancing(*(gateway.port for gateway in fleet)) as balancer:
        async with wire(balancer.url, session_id) as first:
            await first.send("session.start", greeting=False)
            secret = str((await first.first("session.welcome"))["resumeSecret"])
            assert (await answered(first)).startswith("It's")
            await asyncio.to_thread(fleet[0].stop, number)  # round robin: the first one has the call
            assert await first.closed() == (1006 if number is signal.SIGKILL else 1001)
            seqs = [text["seq"] for text in first.texts if "seq" in text]
        async with wire(balancer.url, session_id) as second:
            await resumed(second, secret, max(seqs))
            assert (await answered(second)).startswith("It's")
            seqs += [text["seq"] for text in second.texts if "seq" in text]
            await second.send("session.end")
            assert await second.closed() == 1000
    assert seqs == list(range(1, len(seqs) + 1)), "no event was missed, none came twice"
    assert [entry.role for entry in fleet[1].transcript(session_id)] == ["user", "agent"] * 2


def test_the_files_for_a_fleet_say_what_the_documents_say() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.fleet.yaml").read_text())
    gateways = [service for name, service in compose["services"].items() if name.startswith("gateway")]
    assert len(gateways) == 2
    for gateway in gateways:
        assert gateway["environment"]["REDIS_URL"] == "redis://redis:6379/0"
        drain_s = int(gateway["environment"]["VOICEGATE_DRAIN_S"])
        assert int(gateway["stop_grace_period"].rstrip("s")) >= drain_s + 30
    documents = [
        each
        for file in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
        for each in yaml.safe_load_all(file.read_text())
    ]
    kinds = {each["kind"]: each for each in documents}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain_s = next(int(each["value"]) for each in container["env"] if each["name"] == "VOICEGATE_DRAIN_S")
    assert pod["terminationGracePeriodSeconds"] >= drain_s + 30
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    metric = kinds["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert metric == "voicegate_gateway_connections"
