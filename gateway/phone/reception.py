"""Whether a phone call may begin, which agent gets it, and whether it goes on with a conversation it had before."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from gateway.conversation import CallRequest, Calls, Conversation, Resume
from gateway.phone.capability import Capabilities, Grant, Held
from gateway.phone.messages import Began, PhoneCall
from gateway.phone.numbers import NumberPlan
from voicegate.kernel.errors import RefusedCall, StateUnavailable
from voicegate.kernel.ids import SessionId, new_session_id

_MAX_TOKEN_CHARACTERS: Final = 256

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the upgrade has proved."""

    vouched: bool
    """It proves by itself that this call may begin."""
    anonymous: bool
    """Loopback development mode: nothing needs to be proved."""
    token: str = ""
    """From the path."""
    agent: str = ""
    """The only agent that may be talked to; empty: any."""
    full: Callable[[], bool] = lambda: False
    """The load forbids a new call. A call that was promised by an answer webhook, or goes on, is not new."""


@dataclass(frozen=True, slots=True)
class Reception:
    calls: Calls
    capabilities: Capabilities
    numbers: NumberPlan
    echo_gate: bool = True
    """Callers on loudspeakers: what comes back of the agent's voice is not taken for the caller's."""

    async def join(self, began: Began, standing: Standing, *, confirms: bool) -> Conversation:
        """The conversation for this call, new or continued.

        Raises:
            RefusedCall: ``unauthorized``, ``token_used``, ``foreign_call``, ``gone``, ``busy``, or what the calls
                refuse with.
            StateUnavailable: the token cannot be checked now.
        """
        grant = await self._redeem(began.call, standing)
        began = replace(began, call=_filled(began.call, grant))
        known = grant is not None or standing.vouched
        if known:
            held = await self.capabilities.held(began.call.provider, began.call.call_id)
            if held is not None and (conversation := await self._go_on(began, held, confirms)) is not None:
                await self._remember(began.call, held)  # it waited for a while only
                return conversation
        if grant is not None and grant.returned:
            raise RefusedCall("gone", "the call came back, but its conversation has ended")
        if grant is None and standing.full():
            raise RefusedCall("busy", "this process is at its limit")
        routed = (grant.agent if grant is not None else "") or self.numbers.agent_for(began.call.called)
        agent = standing.agent or routed
        conversation = await self.calls.attach(_request(began, new_session_id(), confirms, agent=agent))
        if known:
            held = Held(conversation.session_id, conversation.resume_secret)
            await self._remember(began.call, held)
        return conversation

    async def release(self, call: PhoneCall) -> None:
        """The conversation is over. Never raises."""
        try:
            await self.capabilities.release(call.provider, call.call_id)
        except StateUnavailable:
            _log.warning("a phone call's end could not be noted", provider=call.provider)

    async def wait(self, call: PhoneCall) -> None:
        """The stream was lost, and the conversation waits for it. Never raises."""
        try:
            await self.capabilities.wait(call.provider, call.call_id)
        except StateUnavailable:
            _log.warning("a phone call's wait could not be noted", provider=call.provider)

    async def _redeem(self, call: PhoneCall, standing: Standing) -> Grant | None:
        token = call.token or standing.token
        if not token:
            if standing.vouched or standing.anonymous:
                return None
            raise RefusedCall("unauthorized", "a phone stream needs the token of its answer webhook")
        grant = await self.capabilities.redeem(token[:_MAX_TOKEN_CHARACTERS])
        if grant is None:
            raise RefusedCall("token_used", "the token is unknown, older than 60 s, or was used before")
        if (grant.provider, grant.call_id) != (call.provider, call.call_id):
            raise RefusedCall("foreign_call", "the token belongs to another call")
        return grant

    async def _go_on(self, began: Began, held: Held, confirms: bool) -> Conversation | None:
        claim = Resume(held.resume_secret, 0)
        try:
            return await self.calls.attach(_request(began, SessionId(held.session_id), confirms, resume=claim))
        except RefusedCall as refusal:
            if refusal.code != "gone":
                raise
            await self.release(began.call)
            return None

    async def _remember(self, call: PhoneCall, held: Held) -> None:
        try:
            await self.capabilities.hold(call.provider, call.call_id, held)
        except StateUnavailable:  # the call is up; it only cannot be resumed
            _log.warning("a phone call's conversation could not be noted", provider=call.provider)


def _request(
    began: Began, session_id: SessionId, confirms: bool, *, agent: str = "", resume: Resume | None = None
) -> CallRequest:
    return CallRequest(
        session_id,
        began.call.provider,
        began.spoken.rate_hz,
        confirms=confirms,
        agent=agent,
        input_format=str(began.heard),
        output_format=str(began.spoken),
        context=context_of(began.call),
        resume=resume,
    )


def _filled(call: PhoneCall, grant: Grant | None) -> PhoneCall:
    """What the webhook said, where the stream does not say it."""
    if grant is None:
        return call
    return replace(
        call,
        caller=call.caller or grant.caller,
        called=call.called or grant.called,
        direction=call.direction or grant.direction,
    )


def context_of(call: PhoneCall) -> dict[str, str]:
    """What the agent and its tools learn of the call. Custom parameters cannot pass for the carrier's own facts."""
    facts = {
        "provider": call.provider,
        "call_id": call.call_id,
        "caller": call.caller,
        "called": call.called,
        "direction": call.direction,
    }
    return {**call.parameters, **{name: value for name, value in facts.items() if value}}
