"""What usage costs, in micro-credits: whole numbers, so that gateway and ledger come to the same sum. PURE.

A price is of one unit (a second, a character, a token) of a stage; a provider may have its own. Every usage event is
rounded up by itself: a call costs what its events cost, however they are gathered.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

PER_CREDIT: Final = 1_000_000
ANY: Final = "*"
UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "session": ("seconds",),
    "stt": ("seconds",),
    "agent": ("input_tokens", "output_tokens"),
    "tts": ("characters",),
}
"""Stage: what its usage is counted in."""
DEFAULT_PRICES: Final[Mapping[str, int]] = {
    "session/*/seconds": 1_000,
    "stt/*/seconds": 2_000,
    "agent/*/input_tokens": 2,
    "agent/*/output_tokens": 8,
    "tts/*/characters": 150,
}
"""``stage/provider/unit``: micro-credits of one unit. A minute of usual talk is a fifth of a credit (our choice)."""
MOST_MILLI: Final = 10**12
"""A thousand million units: what is above is a fault of whoever counted."""


def milli(quantity: float) -> int:
    """Thousandths of a unit; nothing for what is no quantity."""
    if not math.isfinite(quantity) or quantity <= 0:
        return 0
    return min(MOST_MILLI, round(quantity * 1000))


def price_micro(prices: Mapping[str, int], stage: str, provider: str, unit: str) -> int:
    """Of one unit; what has no price costs nothing."""
    own = prices.get(f"{stage}/{provider}/{unit}")
    return own if own is not None else prices.get(f"{stage}/{ANY}/{unit}", 0)


def cost_micro(prices: Mapping[str, int], stage: str, provider: str, unit: str, quantity_milli: int) -> int:
    """Of one usage event, rounded up."""
    return -(-price_micro(prices, stage, provider, unit) * quantity_milli // 1000)


def read_prices(text: str) -> dict[str, int]:
    """The default prices, changed by ``stage/provider/unit=micro-credits``, separated by commas.

    Raises:
        ValueError: it is not understood; the message says what.
    """
    return dict(DEFAULT_PRICES) | dict(_changes(text))


def _changes(text: str) -> Iterator[tuple[str, int]]:
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, sign, price = part.partition("=")
        stage, _, rest = name.strip().partition("/")
        provider, _, unit = rest.rpartition("/")
        if unit not in UNITS.get(stage, ()) or not provider:
            raise ValueError(f"{name.strip()!r} is not stage/provider/unit of {', '.join(DEFAULT_PRICES)}")
        if not (sign and price.strip().isascii() and price.strip().isdigit() and len(price.strip()) <= 12):
            raise ValueError(f"{part!r}: a price is a whole number of micro-credits")
        yield name.strip(), int(price)
