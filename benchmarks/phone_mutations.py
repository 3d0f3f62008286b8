"""Whether damaged messages of a carrier can hurt the gateway, or a call beside them.

``python -m benchmarks.phone_mutations [--via all|twilio,…] [--messages 10000] [--together 2] [--seed 1]
[--json FILE]``

A gateway of our own, with the embedded engines, is sent ``messages`` damaged messages of each protocol
(:mod:`benchmarks.phone_attack`), ``together`` connections at a time: each one that begins well is a real call, so that
more of them are a test of the machine. Beside them a person on a simulated Asterisk has a real conversation, one
question after the other. Exit code 1: the gateway died, a message was a fault of ours (its log says so), or an answer
to the person failed to come.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from audiocodecs.resample import resample_whole
from benchmarks.corpus import embedded_voice, say
from benchmarks.gateway_process import RunningGateway, free_port, gateway
from benchmarks.machine import this_machine
from benchmarks.phone_attack import attack
from benchmarks.results import write_results
from voicegate.client.carriers.phone import PhoneCall
from voicegate.client.carriers.target import PHONES, PhoneTarget, PhoneVia
from voicegate.client.connection import CallFailed
from voicegate.kernel.audio import PIPELINE_RATE_HZ, Samples

_QUESTION = "What are your opening hours?"
_FAULTS = ("a message could not be handled", "playout failed", "the call failed", "connection failed", "Traceback")


@dataclass(slots=True)
class Outcome:
    """One carrier."""

    via: str
    messages: int = 0
    connections: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    questions: int = 0
    """That the person beside it asked."""
    unanswered: int = 0


async def run(vias: Sequence[PhoneVia], messages: int, seed: int, together: int) -> tuple[list[Outcome], int]:
    """The outcomes, and how many lines of the gateway's log tell of a fault."""
    port = free_port()
    settings = {
        "VOICEGATE_AUDIOSOCKET": "true",
        "VOICEGATE_AUDIOSOCKET_OPEN": "true",
        "VOICEGATE_AUDIOSOCKET_PORT": str(port),
        "VOICEGATE_LATE_MS": "0",  # under load it would refuse the attack, and the person
    }
    spoken, _ = await say(embedded_voice(), _QUESTION)
    question = resample_whole(spoken, PIPELINE_RATE_HZ, 8_000)
    outcomes: list[Outcome] = []
    async with gateway(None, settings=settings) as running:
        for via in vias:
            url = f"tcp://127.0.0.1:{port}" if via == "audiosocket" else running.url
            outcomes.append(await _one(running, via, url, messages, seed, together, question))
        faults = await asyncio.to_thread(_faults, running)
    return outcomes, faults


async def _one(
    running: RunningGateway, via: PhoneVia, url: str, messages: int, seed: int, together: int, question: Samples
) -> Outcome:
    outcome, over = Outcome(via), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        person = tasks.create_task(_converse(running.url, question, outcome, over))
        result = await attack(via, url, messages, seed=seed, together=together)
        outcome.messages, outcome.connections, outcome.endings = (
            result.messages,
            result.connections,
            dict(result.endings),
        )
        over.set()
        await person
    return outcome


async def _converse(url: str, question: Samples, outcome: Outcome, over: asyncio.Event) -> None:
    """Ask, until the attack is over, and at least once."""
    try:
        async with PhoneCall(PhoneTarget("asterisk", url)) as phone:
            await phone.greeting_over()
            while not over.is_set() or not outcome.questions:
                outcome.questions += 1
                utterance = await phone.speak(question)
                await phone.reply_over(utterance)
                outcome.unanswered += phone.tape.agent_end <= utterance.end
    except CallFailed:
        outcome.unanswered += 1


def _faults(running: RunningGateway) -> int:
    assert running.data_dir is not None, "the gateway is ours"
    log = (running.data_dir.parent / "gateway.log").read_text(errors="replace")
    return sum(log.count(fault) for fault in _FAULTS)


def main(
    via: Annotated[str, typer.Option(help="Carriers, separated by commas.")] = "all",
    messages: Annotated[int, typer.Option(help="Damaged messages a carrier.")] = 10_000,
    together: Annotated[int, typer.Option(help="Mad connections at a time.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the results.")] = None,
) -> None:
    vias = PHONES if via == "all" else tuple(each for each in PHONES if each in via.split(","))
    outcomes, faults = uvloop.run(run(vias, messages, seed, together))
    table = Table("carrier", "messages", "connections", "how they ended", "questions", "unanswered")
    for each in outcomes:
        ends = " ".join(f"{name}:{count}" for name, count in sorted(each.endings.items()))
        table.add_row(
            each.via, str(each.messages), str(each.connections), ends, str(each.questions), str(each.unanswered)
        )
    console = Console()
    console.print(table)
    console.print(f"faults in the gateway's log: {faults}")
    write_results(json, this_machine(), outcomes=outcomes, faults=faults)
    if faults or any(each.unanswered for each in outcomes):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
