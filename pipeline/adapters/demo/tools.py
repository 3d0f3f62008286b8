"""The demo agency's tools, as functions of the Agents SDK.

Results are JSON objects in the words of :mod:`pipeline.adapters.local.results` (``spoken``, ``ask_again``, ``options``,
``about``), which a language model reads as well as our own dialogue does.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from agents import RunContextWrapper, Tool, function_tool

from pipeline.adapters.agent_tools import CallContext, ToolFailed, read_only, side_effect
from pipeline.adapters.demo.homes import Aspect, Home, about_home, find, pounds, price
from pipeline.adapters.demo.viewings import Viewing, ViewingStore
from pipeline.adapters.local.calendar import say_day, say_time
from pipeline.adapters.local.replies import listed
from pipeline.adapters.spoken_numbers import cardinal

Feature = Literal["garden", "parking", "balcony", "lift", "garage", "fireplace", "furnished", "pets"]
District = Literal["Old Town", "Riverside", "Northgate", "Hillside", "Station Quarter"]

_PAGE = 3
_HALF_HOUR = timedelta(minutes=30)
_FARTHEST = timedelta(days=60)
_RATE = 0.045
"""Yearly interest of the example loans."""


def search_tools(homes: Sequence[Home]) -> list[Tool]:
    """Finding homes and telling about them; all read-only."""
    by_name = {home.name: home for home in homes}

    @function_tool(strict_mode=False)
    def find_property(
        deal: Literal["buy", "rent"] | None = None,
        bedrooms: int | None = None,
        budget: int | None = None,
        district: District | None = None,
        features: list[Feature] | None = None,
        page: int = 1,
    ) -> str:
        """Find homes on offer. Budget in pounds (a month for rent). page 2 gives the next three."""
        if budget is not None and deal == "buy" and budget < 5000:
            budget *= 1000
        wishes = {"deal": deal, "bedrooms": bedrooms, "budget": budget, "district": district, "features": features}
        found = find(homes, wishes)
        return _offer(found, homes, wishes, page)

    @function_tool(strict_mode=False)
    def property_details(property: str, aspect: Aspect = "overview") -> str:  # noqa: A002 (the model's word)
        """Facts about one home: an overview, or one aspect of it."""
        home = _home(by_name, property)
        return _result(spoken=about_home(home, aspect), about={"property": home.name})

    return [read_only(find_property), read_only(property_details)]


def viewing_tools(homes: Sequence[Home], store: ViewingStore, now: Callable[[], datetime]) -> list[Tool]:
    """Booking and cancelling viewings. ``now``: local time at the agency."""
    by_name = {home.name: home for home in homes}

    async def refused(caller: str, home: Home, day: date, at: time) -> str | None:
        problem = _closed(day, at, now())
        if problem is not None:
            return problem
        taken = await store.taken(home.name, day, but_by=caller)
        if at not in taken:
            return None
        free = [clock for clock in _near(at) if clock not in taken and _closed(day, clock, now()) is None]
        offer = f" I have {listed([say_time(clock) for clock in free[:2]])} free." if free else ""
        return _result(spoken=f"Sorry, {say_time(at)} is taken.{offer}", ask_again=["time"])

    @function_tool(strict_mode=False)
    async def check_viewing(
        context: RunContextWrapper[CallContext],
        property: str,  # noqa: A002
        day: str,
        time: str = "",
    ) -> str:
        """Whether a viewing is possible that day, and at that time. day: YYYY-MM-DD, time: HH:MM or empty."""
        home, when = _home(by_name, property), _date(day)
        if not time:
            problem = _closed_day(when, now())
            return problem or _result(spoken="That day is possible.", about={"property": home.name})
        at = _time(time)
        problem = await refused(context.context.session_id, home, when, at)
        return problem or _result(spoken=f"{say_time(at)} is free.", about={"property": home.name})

    @function_tool
    async def book_viewing(
        context: RunContextWrapper[CallContext],
        property: str,  # noqa: A002
        day: str,
        time: str,
        name: str,
    ) -> str:
        """Book a viewing of half an hour; moves the caller's earlier viewing of the same home. Confirm first.
        day: YYYY-MM-DD, time: HH:MM, name: the caller's full name."""
        home, when, at = _home(by_name, property), _date(day), _time(time)
        caller = context.context.session_id
        problem = await refused(caller, home, when, at)
        if problem is not None:
            return problem
        booked = await store.book(Viewing(caller, home.name, when, at, name))
        if booked == "taken":
            return _result(spoken="Sorry, somebody just took that time.", ask_again=["time"])
        said = f"{booked.title()}: {home.name}, {say_day(when, now().date())} at {say_time(at)}. See you then!"
        return _result(spoken=said, about={"property": home.name})

    @function_tool
    async def cancel_viewing(context: RunContextWrapper[CallContext], property: str) -> str:  # noqa: A002
        """Cancel the caller's viewing of a home. Confirm first."""
        home = _home(by_name, property)
        gone = await store.cancel(context.context.session_id, home.name)
        if gone is None:
            return _result(spoken=f"I can't find a viewing of yours at {home.name}.")
        return _result(spoken=f"Done. Your viewing at {home.name} is cancelled.")

    return [read_only(check_viewing), side_effect(book_viewing), side_effect(cancel_viewing)]


def call_tools(now: Callable[[], datetime]) -> list[Tool]:
    """The time, and the end of the call."""

    @function_tool
    def current_time() -> str:
        """The date and time at the agency."""
        moment = now()
        part = "in the morning" if moment.hour < 12 else "in the afternoon" if moment.hour < 18 else "in the evening"
        clock = f"{say_time(moment.time())} {part}" if moment.minute or moment.hour != 12 else "midday"
        day = say_day(moment.date(), moment.date() - timedelta(days=7))
        return _result(spoken=f"It's {clock}, on {day}.", now=moment.isoformat(timespec="minutes"))

    @function_tool
    def end_call(context: RunContextWrapper[CallContext], reason: str) -> str:
        """End the call, once the caller has said goodbye. Say goodbye afterwards."""
        context.context.ended = reason
        return _result(spoken="The call ends after your next words.")

    # Ending is only an output of the reply, so a revoked speculation leaves no trace of it.
    return [read_only(current_time), read_only(end_call)]


def loan_tools() -> list[Tool]:
    """The adviser's calculations."""

    @function_tool
    def borrowing_power(income: int) -> str:
        """What lenders usually offer on a yearly household income in pounds."""
        if not 5_000 <= income <= 5_000_000:
            return _result(spoken="I need the income of a whole year, before tax.", ask_again=["income"])
        loan = int(income * 4.5) // 1000 * 1000
        return _result(
            spoken=f"Roughly {pounds(loan)}. Lenders offer about four and a half times your income.", loan=loan
        )

    @function_tool(strict_mode=False)
    def monthly_payment(loan: int, years: int = 25) -> str:
        """The monthly payment of a repayment loan, in pounds."""
        if not 5_000 <= loan <= 10_000_000 or not 1 <= years <= 45:
            return _result(spoken="Sorry, that sum doesn't sound right.", ask_again=["loan"])
        monthly = _RATE / 12
        payment = loan * monthly / (1 - (1 + monthly) ** (-12 * years))
        rounded = round(payment / 10) * 10
        term = f"over {cardinal(years)} years at four and a half per cent"
        return _result(spoken=f"About {pounds(rounded)} a month, for {pounds(loan)} {term}.", monthly=rounded)

    return [read_only(borrowing_power), read_only(monthly_payment)]


def _offer(found: Sequence[Home], homes: Sequence[Home], wishes: dict[str, Any], page: int) -> str:
    shown = found[(page - 1) * _PAGE : page * _PAGE]
    if not shown and found:
        return _result(spoken="That was all of them, I'm afraid.", follow_up="Shall I look for something else?")
    if not shown:
        near = _nearest(homes, wishes)
        if near is None:
            return _result(spoken="I'm sorry, I have nothing like that. Would another area or price do?", follow_up="")
        return _one(f"I have nothing quite like that. The nearest is {near.name}, {_short(near)}.", near)
    if len(found) == 1:
        return _one(f"I have one: {found[0].name}, {_short(found[0])}.", found[0])
    told = shown if len(found) <= page * _PAGE else shown[:2]  # a caller keeps two or three names in mind
    names = [f"{home.name} at {price(home).removesuffix(' pounds')}" for home in told]
    if page > 1:
        intro = "There's also"
    else:
        intro = f"I found {cardinal(len(found))}" + (". The first are" if len(told) < len(found) else "")
    cheapest = {"budget": shown[0].price}
    return _result(spoken=f"{intro}: {listed(names, 'and')}.", options=[home.name for home in told], implied=cheapest)


def _one(spoken: str, home: Home) -> str:
    return _result(
        spoken=spoken,
        options=[home.name],
        about={"property": home.name},
        implied={"budget": home.price},
        follow_up="Shall I tell you more about it?",
    )


def _nearest(homes: Sequence[Home], wishes: dict[str, Any]) -> Home | None:
    """A home that misses one wish only, the least important first."""
    for wish in ("features", "district", "budget", "bedrooms"):
        if wishes.get(wish) and (found := find(homes, {**wishes, wish: None})):
            return found[0]
    return None


def _short(home: Home) -> str:
    rooms = "a studio" if home.bedrooms == 0 else f"{cardinal(home.bedrooms)} bedroom{'s' if home.bedrooms > 1 else ''}"
    return f"{rooms} in {'the ' if ' ' in home.district else ''}{home.district}, for {price(home)}"


def _closed_day(day: date, moment: datetime) -> str | None:
    """Why there is no viewing that day, as a result; None if there could be one."""
    if day < moment.date():
        return _result(spoken="That's in the past, I'm afraid.", ask_again=["day"])
    if day > moment.date() + _FARTHEST:
        return _result(spoken="That's too far ahead. We book two months at most.", ask_again=["day"])
    if day.weekday() == 6:
        return _result(spoken="On Sundays we have no viewings.", ask_again=["day"])
    return None


def _closed(day: date, at: time, moment: datetime) -> str | None:
    """Why there is no viewing then, as a result; None if there could be one."""
    if (problem := _closed_day(day, moment)) is not None:
        return problem
    if day == moment.date() and at <= moment.time():
        return _result(spoken="That's in the past, I'm afraid.", ask_again=["day", "time"])
    last = time(15, 30) if day.weekday() == 5 else time(17, 30)
    if not time(9) <= at <= last:
        return _result(spoken=f"Viewings that day are from nine to {say_time(last)}.", ask_again=["time"])
    if at.minute % 30:
        return _result(spoken="Viewings start on the hour or at half past.", ask_again=["time"])
    return None


def _near(at: time) -> list[time]:
    base = datetime.combine(date(2000, 1, 1), at)
    return [(base + _HALF_HOUR * step).time() for step in (1, -1, 2, -2, 3, -3) if (base + _HALF_HOUR * step).day == 1]


def _home(by_name: dict[str, Home], name: str) -> Home:
    home = next((home for known, home in by_name.items() if known.lower() == name.strip().lower()), None)
    if home is None:
        raise ToolFailed(f"There is no home called {name!r}. Homes: {', '.join(by_name)}.")
    return home


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ToolFailed(f"day must be YYYY-MM-DD, not {text!r}.") from None


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError:
        raise ToolFailed(f"time must be HH:MM, not {text!r}.") from None


def _result(**fields: Any) -> str:
    return json.dumps(fields)
