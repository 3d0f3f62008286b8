"""What credits are told. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sessions.prices import DEFAULT_PRICES, PER_CREDIT


@dataclass(frozen=True, slots=True)
class CreditsConfig:
    """Amounts in micro-credits. The defaults suit the default prices, at which a minute is a fifth of a credit."""

    enabled: bool = True
    """Calls to published agents are paid for."""
    prices: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_PRICES))
    hold_micro: int = 2 * PER_CREDIT
    """Set aside for a call, and again when half of it is used up. While the ledger is away, a call lives on this."""
    least_micro: int = PER_CREDIT // 5
    """A new call needs so much."""
    warn_micro: int = PER_CREDIT // 5
    end_micro: int = PER_CREDIT // 20
    """Left when the call must say goodbye: a quarter of a minute."""
    low_micro: int = 20 * PER_CREDIT
    """With less than this an organisation is told that its credits run out: ten calls' holds."""
    welcome_micro: int = 1_000 * PER_CREDIT
    """What the home organisation begins with."""
    warning: str = "Just so you know: the credit for this call is nearly used up."
    farewell: str = "The credit for this call is used up, so I have to end it here. Thank you for calling. Goodbye."
