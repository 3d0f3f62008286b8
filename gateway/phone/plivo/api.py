"""Plivo's REST API. Source: Plivo, "Voice API: Call, hang up a call, transfer a call"."""

from urllib.parse import quote

import aiohttp

from gateway.phone.plivo.carrier import PlivoConfig
from gateway.phone.plivo.protocol import NAME
from gateway.phone.rest import ask


class PlivoApi:
    """See :class:`gateway.phone.rest.CarrierApi`."""

    def __init__(self, config: PlivoConfig) -> None:
        self._config = config

    async def hang_up(self, call_id: str) -> None:
        await ask(NAME, "DELETE", self._call(call_id), headers=self._headers)

    async def transfer(self, call_id: str, number: str, *, dial_url: str) -> None:
        """Plivo fetches the XML that dials."""
        body = {"legs": "aleg", "aleg_url": dial_url, "aleg_method": "POST"}
        await ask(NAME, "POST", self._call(call_id), gone=(0, ""), json=body, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(self._config.auth_id, self._config.auth_token)}

    def _call(self, call_id: str) -> str:
        account = quote(self._config.auth_id, safe="")
        return f"{self._config.api_url.rstrip('/')}/v1/Account/{account}/Call/{quote(call_id, safe='')}/"
