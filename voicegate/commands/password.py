"""``voicegate password``: gives a user of the control API a new password."""

import asyncio
import secrets
from typing import Annotated

import typer

from voicegate import settings as configuration
from voicegate.kernel.errors import ConfigError
from voicegate.settings import Settings

_LEAST_CHARACTERS = 12


def password(
    email: Annotated[str, typer.Argument(help="E-mail address of the user.")],
    ask: Annotated[bool, typer.Option(help="Ask for the password instead of making one.")] = False,
) -> None:
    """Set a user's password, print it if it was made, and end his logins."""
    chosen = typer.prompt("password", hide_input=True, confirmation_prompt=True) if ask else secrets.token_urlsafe(12)
    try:
        if len(chosen) < _LEAST_CHARACTERS:
            raise ConfigError(f"a password has {_LEAST_CHARACTERS} characters or more")
        if not asyncio.run(_set(configuration.load(), email, chosen)):
            raise ConfigError(f"there is no user {email!r}")
    except ConfigError as error:
        typer.echo(f"voicegate: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo("the password is set" if ask else chosen)


async def _set(settings: Settings, email: str, chosen: str) -> bool:
    # Here and not above: no other command needs a database's driver.
    from control_api.identity.passwords import Passwords
    from control_api.seed import set_password
    from voicegate.embedded.postgres import PostgresConfig, embedded_postgres

    config = PostgresConfig(settings.database_url.get_secret_value(), settings.data_dir / "postgres")
    async with embedded_postgres(config) as url:
        return await set_password(url, email, chosen, Passwords())
