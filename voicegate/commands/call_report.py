"""The tables that ``voicegate call`` prints."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from voicegate.client.record import Line

STAGES = ("voice_to_voice_ms", "endpointing_ms", "stt_ms", "agent_ms", "tts_ms", "playout_ms")


def transcript_table(lines: Sequence[Line]) -> Table:
    """Both sides, in order."""
    table = Table(title="Conversation", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    for line in lines:
        said = Text(line.text)
        if line.interrupted:
            said.append(" …interrupted", style="dim")
        table.add_row(Text(line.speaker, style="cyan" if line.speaker == "caller" else "green"), said)
    return table


def latency_table(rows: Sequence[tuple[str, float | None, Mapping[str, float] | None]]) -> Table:
    """A row a file: its name, what the tape says, what the gateway says where it tells; all in milliseconds."""
    told = any(stages for _, _, stages in rows)
    more = ", then by the gateway stage by stage" if told else ""
    table = Table(title=f"Latency in ms: measured on the tape{more}", title_justify="left")
    table.add_column("file")
    table.add_column("voice to voice", justify="right")
    shown = STAGES if told else ()
    for stage in shown:
        table.add_column(stage.removesuffix("_ms").replace("voice_to_voice", "gateway"), justify="right")
    for name, measured, stages in rows:
        cells = [f"{stages[stage]:.0f}" if stages else "–" for stage in shown]
        table.add_row(Text(name), "no reply" if measured is None else f"{measured:.0f}", *cells)
    return table
