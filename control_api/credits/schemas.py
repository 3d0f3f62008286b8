"""JSON of credits. Amounts are whole micro-credits; a credit is 1,000,000 of them."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from control_api.db.models.model import HoldState, LedgerAccountKind
from control_api.wire import Given, Moment, Shown, Text

MOST_MICRO = 10**15
"""A thousand million credits: a number that JavaScript holds exactly, and so does a sum of some."""
Micro = Annotated[int, Field(description="Micro-credits.")]
By = Literal["agent", "day", "provider"]


class Balance(Shown):
    """What an organisation has."""

    available_micro: Micro = Field(description="For new calls.")
    held_micro: Micro = Field(description="Set aside for calls that run.")
    used_micro: Micro = Field(description="All that calls have cost.")
    granted_micro: Micro = Field(description="All that came in.")
    owed_micro: Micro = Field(description="What calls cost beyond all that was there; the next grant pays it first.")
    least_micro: Micro = Field(description="What a new call needs.")


class EntryShown(Shown):
    account: LedgerAccountKind
    amount_micro: Micro


class TransactionShown(Shown):
    """One transfer of the ledger; its entries add up to nothing."""

    id: UUID
    kind: str = Field(description="`grant`, `hold`, `usage`, `settle`, `release`.")
    hold_id: UUID | None
    reason: str
    created_by: UUID | None
    created_at: Moment
    entries: list[EntryShown]


class HoldShown(Shown):
    """What is set aside for a call, and what it has cost."""

    id: UUID
    session_id: str
    agent_id: UUID | None
    state: HoldState
    held_micro: Micro = Field(description="In all, what is used included.")
    used_micro: Micro
    began_at: Moment | None = Field(description="Null: the session was made, and not called yet.")
    created_at: Moment
    settled_at: Moment | None


class UsageRow(Shown):
    """Of the period. The fields by which it is not grouped are null."""

    agent_id: UUID | None = None
    day: date | None = None
    stage: str | None = None
    provider: str | None = None
    unit: str | None = None
    quantity: float | None = Field(default=None, description="Of `unit`.")
    cost_micro: Micro


class UsageShown(Shown):
    since: date
    until: date = Field(description="Included. Days are in UTC.")
    cost_micro: Micro
    items: list[UsageRow]


class EstimateGiven(Given):
    """A call as it might be. What is left out is that of usual talk for as long as `seconds`."""

    seconds: float = Field(default=60, ge=0, le=86_400, description="The call's length.")
    speech_seconds: float | None = Field(default=None, ge=0, le=86_400, description="Of the caller's speech.")
    characters: float | None = Field(default=None, ge=0, le=10_000_000, description="That the agent says.")
    input_tokens: float | None = Field(default=None, ge=0, le=100_000_000)
    output_tokens: float | None = Field(default=None, ge=0, le=100_000_000)


class EstimateLine(Shown):
    stage: str
    unit: str
    quantity: float
    price_micro: Micro = Field(description="Of one unit.")
    cost_micro: Micro


class EstimateShown(Shown):
    cost_micro: Micro
    lines: list[EstimateLine]
    prices: dict[str, int] = Field(description="`stage/provider/unit` to micro-credits; `*` is every other provider.")
    affordable_calls: int = Field(description="How many such calls are available now.")


class GrantGiven(Given):
    amount_micro: int = Field(ge=1, le=MOST_MICRO)
    reason: Annotated[Text, Field(max_length=200)] = ""


class GrantMade(Shown):
    transaction_id: UUID
    balance: Balance
