"""``voicegate replay``: shows what a recorded call's turn machine was told, and what it ordered."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.replay import command_line, event_line, read
from pipeline.replay import replay as replayed


def replay(
    file: Annotated[Path, typer.Argument(help="A file of the folder `turns` (VOICEGATE_RECORD_TURNS=true).")],
) -> None:
    """Replay a call's turn taking, bit for bit: each event, and indented the commands it led to."""
    try:
        recording = read(file.read_bytes().splitlines(keepends=True))
    except (OSError, ValueError) as error:
        typer.echo(f"voicegate: {file}: {error}", err=True)
        raise typer.Exit(2) from None
    for event, commands in replayed(recording):
        typer.echo(event_line(event).decode().rstrip())
        for command in commands:
            typer.echo("    " + command_line(command).decode().rstrip())
