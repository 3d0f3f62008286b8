"""What an operator may do with a phone call, whichever process has it.

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
from gateway.phone.parts import PhoneParts, headers_of, knock_of
from gateway.phone.webhook import Webhook
from gateway.problems import problem_response
from sessions import orders
from voicegate.kernel.errors import ProviderError, RefusedCall, StateUnavailable

NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
KEYS: Final = re.compile(r"[0-9*#A-D]{1,64}")
_MAX_BODY_BYTES: Final = 4_096

_log = structlog.get_logger(__name__)


class Given(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
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
        given = _checked(_read(await _body(request)))
        here = self.phones.orders
        if not here.holds(session_id):
            await self._send(session_id, given, self.phones.url_of(request))
            return
        match given.action:
            case "transfer":
                await here.transfer(session_id, given.to, self.phones.url_of(request))
            case "keys":
                here.press_keys(session_id, given.digits)
            case "hangUp":
                here.hang_up(session_id)

    async def _send(self, session_id: str, given: Given, our_url: str) -> None:
        """To the process that holds the call."""
        if self.phones.elsewhere is None:
            raise RefusedCall("unknown_session", "there is no phone call with this session id")
        outcome = await self.phones.elsewhere(session_id, _order(given, our_url))
        match outcome.status:
            case "done":
                return
            case "refused":
                raise RefusedCall(outcome.code, outcome.detail)
            case "not_live":
                raise RefusedCall("unknown_session", "there is no phone call with this session id")
            case "no_answer":
                raise RefusedCall("no_answer", outcome.detail)


def _checked(given: Given) -> Given:
    if given.action == "transfer" and not NUMBER.fullmatch(given.to):
        raise RefusedCall("bad_request", "'to' is a number of 3 to 20 digits, with or without a plus")
    if given.action == "keys" and not KEYS.fullmatch(given.digits):
        raise RefusedCall("bad_request", "'digits' are 1 to 64 of 0-9 * # A-D")
    return given


def _order(given: Given, our_url: str) -> orders.Order:
    match given.action:
        case "transfer":
            return orders.Transfer(given.to, our_url)
        case "keys":
            return orders.PressKeys(given.digits)
        case "hangUp":
            return orders.HangUp()


async def _body(request: web.Request) -> bytes:
    body = b""
    while not request.content.at_eof() and len(body) <= _MAX_BODY_BYTES:
        body += await request.content.read(_MAX_BODY_BYTES + 1 - len(body))
    if len(body) > _MAX_BODY_BYTES:
        raise RefusedCall("bad_request", f"a body has at most {_MAX_BODY_BYTES} bytes")
    return body


def _read(body: bytes) -> Given:
    try:
        return msgspec.json.decode(body, type=Given)
    except msgspec.DecodeError as error:
        raise RefusedCall("bad_request", str(error)) from None
