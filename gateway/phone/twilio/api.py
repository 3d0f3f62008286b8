"""Twilio's REST API. Source: Twilio, "Voice API: Call resource, update a call in progress"."""

from urllib.parse import quote
from xml.sax.saxutils import escape

import aiohttp

from gateway.phone.rest import ask
from gateway.phone.twilio.carrier import TwilioConfig
from gateway.phone.twilio.protocol import NAME


class TwilioApi:
    """See :class:`gateway.phone.rest.CarrierApi`."""

    def __init__(self, config: TwilioConfig) -> None:
        self._config = config

    async def hang_up(self, call_id: str) -> None:
        await self._update(call_id, {"Status": "completed"})

    async def transfer(self, call_id: str, number: str, *, dial_url: str) -> None:
        twiml = f"<Response><Dial>{escape(number)}</Dial></Response>"
        await self._update(call_id, {"Twiml": twiml}, gone=(0, ""))

    async def _update(self, call_id: str, form: dict[str, str], *, gone: tuple[int, str] = (404, "20404")) -> None:
        config = self._config
        calls = f"{config.api_url.rstrip('/')}/2010-04-01/Accounts/{quote(config.account_sid, safe='')}/Calls"
        headers = {"Authorization": aiohttp.encode_basic_auth(config.account_sid, config.auth_token)}
        await ask(NAME, "POST", f"{calls}/{quote(call_id, safe='')}.json", gone=gone, data=form, headers=headers)
