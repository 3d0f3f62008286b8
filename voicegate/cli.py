"""The command line."""

import typer

from voicegate.commands.call import call
from voicegate.commands.doctor import doctor
from voicegate.commands.password import password
from voicegate.commands.replay import replay
from voicegate.commands.serve import serve
from voicegate.commands.token import token

app = typer.Typer(
    name="voicegate",
    help="A real-time voice gateway: people call an AI agent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(call)
app.command()(doctor)
app.command()(token)
app.command()(password)
app.command()(replay)


def main() -> None:
    """Entry point of ``voicegate`` and ``python -m voicegate``."""
    app()
