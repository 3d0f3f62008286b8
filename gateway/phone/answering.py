"""``POST /phone/{provider}/answer``: a carrier asks what to do with a call; the answer is its stream verb.

The signature is checked before anything is read from the body, and what a capability stands for stays with us.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from gateway.parts import GatewayParts
from gateway.phone.capability import Grant
from gateway.phone.messages import Once, PhoneCall
from gateway.phone.parts import PhoneParts, headers_of, knock_of
from gateway.phone.protocol import Carrier
from gateway.phone.webhook import Answer, AnswerRule, Incoming, Webhook
from gateway.problems import PASSING, problem_response, told_at
from voicegate.kernel.errors import RefusedCall, StateUnavailable

_MAX_BODY_BYTES: Final = 64 * 1024
_BODY_S: Final = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AnswerDoor:
    """The handler of the route."""

    parts: GatewayParts
    phones: PhoneParts

    async def __call__(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except RefusedCall as refusal:
            _log.log(told_at(refusal), "phone webhook refused", code=refusal.code, peer=request.remote)
            return problem_response(refusal)

    async def _answer(self, request: web.Request) -> web.Response:
        carrier = self.phones.carrier(request.match_info["provider"])
        rule = carrier.answer
        if rule is None or request.method not in rule.methods:
            raise RefusedCall("unknown_carrier", f"{carrier.name} has no webhook with {request.method}")
        webhook = await self._read(request)
        try:
            await self._check(request, carrier, rule, webhook)
            answer = await self._decide(rule, rule.read(webhook), webhook.public_url)
        except RefusedCall as refusal:
            answer = self._busy(rule, webhook, refusal)
        except StateUnavailable:
            self.parts.admission.refused("state_unavailable")
            message = "the state store is away; new calls cannot be taken"
            answer = self._busy(rule, webhook, RefusedCall("state_unavailable", message))
        headers = {"Cache-Control": "no-store", "Content-Type": answer.content_type}
        return web.Response(body=answer.body, headers=headers)

    async def _check(self, request: web.Request, carrier: Carrier, rule: AnswerRule, webhook: Webhook) -> None:
        forgery: tuple[str, str] | None = None  # not the error, which by its frames holds all of this
        proof: Once | None = None
        try:
            proof = rule.verify(webhook, self.parts.clock.utc().timestamp())
        except RefusedCall as refusal:
            forgery = refusal.code, str(refusal)
        knock, proven = knock_of(request, carrier.name), forgery is None
        known = (proven or not carrier.guarded) and await self._goes_on(rule.read(webhook))
        line = await self.parts.admission.admit_line(
            knock, proven=proven, guarded=carrier.guarded, known=known, elsewhere=known
        )
        if forgery is not None and not (line.vouched or line.anonymous):
            self.parts.admission.refused(forgery[0])
            raise RefusedCall(*forgery)
        if proof is not None:
            await self.parts.admission.spend_once(proof.key, proof.expires)

    async def _goes_on(self, incoming: Incoming) -> bool:
        """It asks nothing of us but the end of a call, or the rest of one that we have: that any process may have."""
        call = incoming.call
        return incoming.over or (
            incoming.returned and await self.phones.capabilities.held(call.provider, call.call_id) is not None
        )

    def _busy(self, rule: AnswerRule, webhook: Webhook, refusal: RefusedCall) -> Answer:
        """What the caller hears of a refusal that is not his fault; any other is raised again."""
        answer = rule.refuse(rule.read(webhook)) if refusal.code in PASSING else None
        if answer is None:
            raise refusal
        _log.log(told_at(refusal), "phone call told that no line is free", code=refusal.code)
        return answer

    async def _decide(self, rule: AnswerRule, incoming: Incoming, public_url: str) -> Answer:
        call, capabilities = incoming.call, self.phones.capabilities
        if incoming.over:
            return rule.hang_up(incoming)
        if incoming.returned and await capabilities.held(call.provider, call.call_id) is None:
            # One that never began, because its stream was refused, is told so; else the conversation is over.
            return (rule.refuse(incoming) if self.parts.load.full else None) or rule.hang_up(incoming)
        grant = _grant(call, self.phones.numbers.agent_for(call.called), incoming.returned)
        token = await capabilities.grant(grant, incoming.token)
        stream_url = f"{public_url.replace('http', 'ws', 1)}/phone/{call.provider}"
        _log.info("phone call answered", provider=call.provider, call_id=call.call_id, returned=incoming.returned)
        return rule.connect(incoming, stream_url=stream_url, token=token)

    async def _read(self, request: web.Request) -> Webhook:
        if (request.content_length or 0) > _MAX_BODY_BYTES:
            raise RefusedCall("bad_webhook", f"a webhook has at most {_MAX_BODY_BYTES} bytes")
        try:
            async with asyncio.timeout(_BODY_S):
                body = await request.content.read(_MAX_BODY_BYTES + 1)
                while not request.content.at_eof() and len(body) <= _MAX_BODY_BYTES:
                    body += await request.content.read(_MAX_BODY_BYTES + 1 - len(body))
        except TimeoutError:
            raise RefusedCall("too_slow", "the body did not come in time") from None
        if len(body) > _MAX_BODY_BYTES:
            raise RefusedCall("bad_webhook", f"a webhook has at most {_MAX_BODY_BYTES} bytes")
        path, _, query = request.raw_path.partition("?")
        return Webhook(request.method, path, query, headers_of(request), body, self.phones.url_of(request))


def _grant(call: PhoneCall, agent: str, returned: bool) -> Grant:
    return Grant(
        call.provider,
        call.call_id,
        agent=agent,
        returned=returned,
        caller=call.caller,
        called=call.called,
        direction=call.direction,
    )
