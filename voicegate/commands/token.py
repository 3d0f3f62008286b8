"""``voicegate token``: makes a token that lets a client call."""

import secrets
from datetime import timedelta
from typing import Annotated

import typer

from gateway.tokens import ANY_SESSION, Claims, sign
from voicegate import settings as configuration
from voicegate.kernel.clock import SystemClock
from voicegate.kernel.errors import ConfigError


def token(
    session: Annotated[str, typer.Option(help="Session id it is good for; * for any.")] = ANY_SESSION,
    agent: Annotated[str, typer.Option(help="The only agent it may call.")] = "",
    minutes: Annotated[int, typer.Option(min=1, max=525_600, help="How long it is good.")] = 60,
    once: Annotated[bool, typer.Option(help="Good for one call.")] = False,
) -> None:
    """Print a token signed with VOICEGATE_TOKEN_SECRET."""
    try:
        secret = configuration.load().token_secret.get_secret_value()
        if not secret:
            raise ConfigError("VOICEGATE_TOKEN_SECRET is not set: the gateway and this command need the same secret")
        expires = SystemClock().utc() + timedelta(minutes=minutes)
        claims = Claims(session, int(expires.timestamp()), agent, secrets.token_urlsafe(12) if once else "")
        typer.echo(sign(secret, claims))
    except ConfigError as error:
        typer.echo(f"voicegate: {error}", err=True)
        raise typer.Exit(2) from None
