"""What published agents are built with, from the settings."""

from contextlib import AsyncExitStack

from pipeline.adapters.outward_http import outward_http
from sessions.sealing import Sealing
from voicegate.engines import open_models
from voicegate.kernel.clock import Clock
from voicegate.published import Workshop
from voicegate.settings import Settings


async def open_workshop(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Workshop:
    """Their HTTP client, their language models and the key of their tools' secrets."""
    http = await stack.enter_async_context(outward_http(private_hosts=settings.tools_private_hosts))
    sealing = Sealing(settings.token_secret.get_secret_value())
    return Workshop(clock, http, sealing, open_models(settings, stack))
