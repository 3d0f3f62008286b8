"""How ``voicegate call`` ends, whichever way it called: what it says, writes and returns."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.console import Console

from voicegate.client.connection import CallFailed
from voicegate.kernel.errors import AudioError

NO_REPLY, NO_AUDIO, NO_GATEWAY = 1, 2, 3


class Answered(Protocol):
    """A file and its answer."""

    @property
    def file(self) -> str: ...

    @property
    def voice_to_voice_ms(self) -> float | None: ...


@contextmanager
def told(errors: Console) -> Iterator[None]:
    """What cannot be said or called is told in a line, and ends the command."""
    try:
        yield
    except AudioError as error:
        errors.print(f"[red]Not audio:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(NO_AUDIO) from None
    except CallFailed as error:
        errors.print(f"[red]The call failed:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(NO_GATEWAY) from None


def finish(report: Any, files: Sequence[Answered], json_file: Path | None, errors: Console) -> None:
    """Write ``report`` (a dataclass) and fail where a file got no spoken reply."""
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(report), indent=2) + "\n")
    silent = [each.file for each in files if each.voice_to_voice_ms is None]
    if silent:
        errors.print(f"[red]No spoken reply[/] to {', '.join(silent)}.", highlight=False)
        raise typer.Exit(NO_REPLY)
