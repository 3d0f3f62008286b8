"""Telnyx's REST API. Source: Telnyx, "Call Control: Hangup, Transfer"."""

from urllib.parse import quote

from gateway.phone.rest import ask
from gateway.phone.telnyx.carrier import TelnyxConfig
from gateway.phone.telnyx.protocol import NAME

_ENDED = (422, "90018")


class TelnyxApi:
    """See :class:`gateway.phone.rest.CarrierApi`."""

    def __init__(self, config: TelnyxConfig) -> None:
        self._config = config

    async def hang_up(self, call_id: str) -> None:
        await self._act(call_id, "hangup", {}, gone=_ENDED)

    async def transfer(self, call_id: str, number: str, *, dial_url: str) -> None:
        await self._act(call_id, "transfer", {"to": number}, gone=(0, ""))

    async def _act(self, call_id: str, action: str, body: dict[str, str], *, gone: tuple[int, str]) -> None:
        url = f"{self._config.api_url.rstrip('/')}/v2/calls/{quote(call_id, safe='')}/actions/{action}"
        headers = {"Authorization": f"Bearer {self._config.api_key}"}
        await ask(NAME, "POST", url, gone=gone, json=body, headers=headers)
