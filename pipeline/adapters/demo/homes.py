"""The demo agency's homes, and how they are spoken of. Pure."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Literal, TypeAlias

import msgspec

from pipeline.adapters.spoken_numbers import cardinal

Aspect: TypeAlias = Literal[
    "overview",
    "price",
    "bedrooms",
    "parking",
    "garden",
    "pets",
    "heating",
    "size",
    "station",
    "schools",
    "council_tax",
    "location",
    "availability",
    "more",
    "lift",
    "balcony",
    "fireplace",
    "furnished",
]


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """A home on offer. The aspects are whole spoken sentences; an empty one is not known."""

    name: str
    deal: Literal["buy", "rent"]
    kind: str
    bedrooms: int
    price: int
    """Pounds; a month where it is to rent."""
    district: str
    features: tuple[str, ...]
    summary: str
    parking: str = ""
    garden: str = ""
    pets: str = ""
    heating: str = ""
    size: str = ""
    station: str = ""
    schools: str = ""
    council_tax: str = ""


def load_homes() -> tuple[Home, ...]:
    """All homes of the demo."""
    text = (files("pipeline.adapters.demo") / "homes.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["home"], tuple[Home, ...])


def pounds(amount: int) -> str:
    """``285_000`` is "two hundred and eighty five thousand pounds"."""
    return re.sub(r"hundred (?!thousand|million)", "hundred and ", f"{cardinal(amount)} ") + "pounds"


def price(home: Home) -> str:
    return pounds(home.price) + (" a month" if home.deal == "rent" else "")


def find(homes: Sequence[Home], wishes: Mapping[str, str | int | Sequence[str] | None]) -> list[Home]:
    """Homes that meet every wish, cheapest first.

    Wishes: deal, district, bedrooms (from three on one more will do), budget (at most), features (all of them).
    """
    found = []
    for home in homes:
        beds, budget, wanted = wishes.get("bedrooms"), wishes.get("budget"), wishes.get("features") or ()
        if wishes.get("deal") not in (None, home.deal) or wishes.get("district") not in (None, home.district):
            continue
        if isinstance(beds, int) and not beds <= home.bedrooms <= beds + (1 if beds > 2 else 0):
            continue
        if isinstance(budget, int) and home.price > budget:
            continue
        if isinstance(wanted, int) or any(wish not in home.features for wish in wanted):
            continue
        found.append(home)
    return sorted(found, key=lambda home: home.price)


def about_home(home: Home, aspect: Aspect) -> str:
    """One spoken sentence about an aspect of a home."""
    match aspect:
        case "price":
            return f"{home.name} is {price(home)}."
        case "bedrooms":
            rooms = "one room for everything" if home.bedrooms == 0 else f"{cardinal(home.bedrooms)} bedrooms"
            return f"{home.name} has {rooms if home.bedrooms != 1 else 'one bedroom'}."
        case "location":
            return f"{home.name} is in {'the ' if ' ' in home.district else ''}{home.district}."
        case "availability":
            return f"Yes, {home.name} is still available."
        case "garden" if not home.garden:
            has = "garden" in home.features
            return f"Yes, {home.name} has a garden." if has else f"No, {home.name} has no garden."
        case "more":
            return f"{home.size} {home.station}"
        case "lift" | "balcony" | "fireplace":
            return f"Yes, {home.name} has one." if aspect in home.features else f"No, {home.name} doesn't have one."
        case "furnished":
            return f"{home.name} comes {'furnished' if 'furnished' in home.features else 'unfurnished'}."
        case "overview":
            return f"{home.name} is {home.summary}. It's {price(home)}."
        case _:
            known = str(getattr(home, aspect, ""))
            return known or f"I'm afraid I don't have that written down for {home.name}."
