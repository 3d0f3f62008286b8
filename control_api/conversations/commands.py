"""``POST /conversations/{id}/commands``: orders to a call that is going on, in whichever process it is."""

import hashlib
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Response
from pydantic import Field

from control_api import audit
from control_api.conversations.service import ConversationService
from control_api.db.models.agents import Agent
from control_api.db.repository import Repository
from control_api.identity.caller import Caller
from control_api.once import REPLAYED
from control_api.operations import CallerDep, guarded
from control_api.parts import ControlParts, Parts
from control_api.problems import Problem, missing
from control_api.wire import Given, Shown, Text
from sessions import orders
from voicegate.kernel.ids import new_session_id

router = APIRouter(prefix="/conversations", tags=["conversations"])

_Words: TypeAlias = Annotated[Text, Field(min_length=1, max_length=2_000, pattern=r"\S")]

_REFUSALS = {
    "gone": "not_published",
    "carrier_failed": "carrier_failed",
    "state_unavailable": "state_unavailable",
    "key_reused": "key_reused",
}
"""Why a call did not do it, as the gateway says it, to our codes; everything else is ``not_possible``."""


class SayCommand(Given):
    """The agent says this, never over the caller's words."""

    type: Literal["say"]
    text: _Words
    interrupt: bool = Field(default=True, description="In place of what the agent is saying; else after it.")


class InjectCommand(Given):
    """The agent's language model knows this from its next answer on. Nobody hears it."""

    type: Literal["inject"]
    text: _Words


class MuteCommand(Given):
    """The agent does not hear the caller: no audio, no text, no keys; nothing of it is transcribed or kept."""

    type: Literal["mute"]


class UnmuteCommand(Given):
    """The agent hears the caller again."""

    type: Literal["unmute"]


class HandoffCommand(Given):
    """Another published agent of the organisation answers from the next turn on."""

    type: Literal["handoff"]
    agent_id: UUID


class EndCommand(Given):
    """The call ends at once, or after last words, whatever is being said."""

    type: Literal["end"]
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")] = "operator"
    last_words: Annotated[Text, Field(max_length=2_000)] = ""


class TransferCommand(Given):
    """A phone call: the carrier connects the caller with a number, and the call leaves us."""

    type: Literal["transfer"]
    to: Annotated[str, Field(pattern=r"^\+?[0-9]{3,20}$")]


class KeysCommand(Given):
    """A phone call: telephone keys into it, where the carrier takes them."""

    type: Literal["keys"]
    digits: Annotated[str, Field(pattern=r"^[0-9*#A-D]{1,64}$")]


class HangUpCommand(Given):
    """A phone call: it ends at once."""

    type: Literal["hangUp"]


Command: TypeAlias = (
    SayCommand
    | InjectCommand
    | MuteCommand
    | UnmuteCommand
    | HandoffCommand
    | EndCommand
    | TransferCommand
    | KeysCommand
    | HangUpCommand
)


class CommandDone(Shown):
    """The call has taken it; what it does is told by its events."""

    conversation_id: UUID
    type: str
    status: Literal["done"] = "done"


@guarded(
    router.post,
    "/{conversationId:uuid}/commands",
    "conversations:command",
    response_model=CommandDone,
    errors=(404, 409, 502, 504),
)
async def command(
    parts: Parts,
    caller: CallerDep,
    conversation_id: Annotated[UUID, Path(alias="conversationId")],
    body: Annotated[Command, Body(discriminator="type")],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your choice; a repetition with the same key does nothing and is answered alike.",
        ),
    ] = None,
) -> Response:
    """Order something of a live call. It is done at most once; 504 says that it may or may not have been done, and the
    same key asks again."""
    session_id = await _live(parts, caller, conversation_id, body)
    order_id = _order_id(caller, idempotency_key)
    outcome = await parts.orders.send(session_id, _order(caller, body), order_id)
    match outcome.status:
        case "done":
            shown = CommandDone(conversation_id=conversation_id, type=body.type)
            headers = {REPLAYED: "true"} if outcome.repeated else {}
            return Response(shown.model_dump_json(), 200, headers, "application/json")
        case "not_live":
            raise Problem("not_live", "No process has this call.")
        case "no_answer":
            raise Problem("no_answer", outcome.detail)
        case "refused":
            raise Problem(_REFUSALS.get(outcome.code, "not_possible"), outcome.detail or "The call refused it.")


async def _live(parts: ControlParts, caller: Caller, conversation_id: UUID, body: Command) -> str:
    """The session of a call that goes on, as far as we know; who ordered what is noted first."""
    async with parts.database.organization(caller.organization_id) as session:
        row = await ConversationService(session, caller, parts.clock).get(conversation_id)
        if isinstance(body, HandoffCommand):
            agent = await Repository(session, caller.organization_id, Agent).get(body.agent_id)
            if agent is None:
                raise missing("agent")
        # What the call's own record says decides; ours may be behind, but an old call never begins again.
        if row.session_id is None or row.status == "erased":
            raise Problem("not_live", "It is no call that is going on.")
        audit.record(session, caller, "conversation.commanded", conversation_id, {"command": body.type})
        return row.session_id


def _order_id(caller: Caller, key: str | None) -> str:
    if key is None:
        return new_session_id()
    return hashlib.sha256(f"{caller.organization_id}\n{caller.name}\n{key}".encode()).hexdigest()


def _order(caller: Caller, body: Command) -> orders.Order:
    match body:
        case SayCommand():
            return orders.Say(body.text, body.interrupt)
        case InjectCommand():
            return orders.Inject(body.text)
        case MuteCommand():
            return orders.Mute()
        case UnmuteCommand():
            return orders.Unmute()
        case HandoffCommand():
            return orders.HandOff(str(body.agent_id), str(caller.organization_id))
        case EndCommand():
            return orders.End(body.reason, body.last_words)
        case TransferCommand():
            return orders.Transfer(body.to)
        case KeysCommand():
            return orders.PressKeys(body.digits)
        case HangUpCommand():
            return orders.HangUp()
