"""What an operator, or an agent's tool, may do with a phone call of this process.

``POST /phone/calls/{session_id}`` with JSON: ``{"action": "transfer", "to": "+15551234567"}``,
``{"action": "keys", "digits": "12#"}`` or ``{"action": "hangUp"}``. 204 when it was done.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import structlog
from aiohttp import web

from gateway.parts import GatewayParts
from gateway.phone.lines import PhoneLine
from gateway.phone.parts import PhoneParts, headers_of, knock_of
from gateway.phone.webhook import Webhook
from gateway.problems import problem_response
from voicegate.kernel.errors import ProviderError, RefusedCall, StateUnavailable

NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
KEYS: Final = re.compile(r"[0-9*#A-D]{1,64}")
_MAX_BODY_BYTES: Final = 4_096

_log = structlog.get_logger(__name__)


class Order(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    action: Literal["transfer", "keys", "hangUp"]
    to: str = ""
    digits: str = ""


@dataclass(frozen=True, slots=True)
class OrderDoor:
    """The handlers of the routes."""

    parts: GatewayParts
    phones: PhoneParts

    async def order(self, request: web.Request) -> web.Response:
        """``POST /phone/calls/{session_id}``."""
        try:
            await self._perform(request)
        except (RefusedCall, StateUnavailable) as refusal:
            return problem_response(RefusedCall(refusal.code, str(refusal)))
        except ProviderError as error:
            _log.warning("a carrier did not do what it was asked", provider=error.provider, error=str(error))
            return problem_response(RefusedCall("carrier_failed", str(error)))
        return web.Response(status=204)

    async def dial(self, request: web.Request) -> web.Response:
        """``/phone/{provider}/dial/{token}``: a carrier fetches, once, the verb that dials."""
        try:
            carrier = self.phones.carrier(request.match_info["provider"])
            path, _, query = request.raw_path.partition("?")
            body = await _body(request)
            webhook = Webhook(request.method, path, query, headers_of(request), body, self.phones.url_of(request))
            if carrier.dial is None or carrier.answer is None:
                raise RefusedCall("unknown_carrier", f"{carrier.name} fetches no verb")
            if carrier.guarded:
                carrier.answer.verify(webhook, self.parts.clock.utc().timestamp())
            number = await self.phones.capabilities.redeem_number(request.match_info["token"])
            if number is None:
                raise RefusedCall("token_used", "the token is unknown, older than 60 s, or was used before")
            answer = carrier.dial(number)
        except (RefusedCall, StateUnavailable) as refusal:
            self.parts.admission.refused(refusal.code)
            return problem_response(RefusedCall(refusal.code, str(refusal)))
        return web.Response(
            body=answer.body, headers={"Content-Type": answer.content_type, "Cache-Control": "no-store"}
        )

    async def _perform(self, request: web.Request) -> None:
        session_id = request.match_info["session_id"]
        self.parts.admission.identify(knock_of(request, session_id))
        order = _read(await _body(request))
        line = self.phones.lines.get(session_id)
        if line is None:
            raise RefusedCall("unknown_session", "this process has no phone call with this session id")
        match order.action:
            case "transfer":
                await self._transfer(line, order.to, self.phones.url_of(request))
            case "keys":
                _press(line, order.digits)
            case "hangUp":
                line.hang_up("operator")

    async def _transfer(self, line: PhoneLine, number: str, our_url: str) -> None:
        if not NUMBER.fullmatch(number):
            raise RefusedCall("bad_request", "'to' is a number of 3 to 20 digits, with or without a plus")
        call = line.call
        api = self.phones.apis.get(call.provider)
        if api is None:
            raise RefusedCall("not_possible", f"no account of {call.provider} is set up that could transfer")
        token = await self.phones.capabilities.grant_number(number)
        await api.transfer(call.call_id, number, dial_url=f"{our_url}/phone/{call.provider}/dial/{token}")
        _log.info("phone call transferred", provider=call.provider, call_id=call.call_id)
        line.let_go("transferred")


def _press(line: PhoneLine, digits: str) -> None:
    if not KEYS.fullmatch(digits):
        raise RefusedCall("bad_request", "'digits' are 1 to 64 of 0-9 * # A-D")
    if not line.press_keys(digits):
        raise RefusedCall("not_possible", f"{line.call.provider} takes no keys on its stream")


async def _body(request: web.Request) -> bytes:
    body = b""
    while not request.content.at_eof() and len(body) <= _MAX_BODY_BYTES:
        body += await request.content.read(_MAX_BODY_BYTES + 1 - len(body))
    if len(body) > _MAX_BODY_BYTES:
        raise RefusedCall("bad_request", f"a body has at most {_MAX_BODY_BYTES} bytes")
    return body


def _read(body: bytes) -> Order:
    try:
        return msgspec.json.decode(body, type=Order)
    except msgspec.DecodeError as error:
        raise RefusedCall("bad_request", str(error)) from None
