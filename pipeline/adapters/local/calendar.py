"""Days and times of day in what a caller said, and how to say them back. Pure: today is an argument."""

import re
from calendar import monthrange
from datetime import date, time, timedelta

from pipeline.adapters.local.numbers import numbers, ordinal
from pipeline.adapters.local.words import alike, listed
from pipeline.adapters.spoken_numbers import cardinal
from pipeline.adapters.spoken_numbers import ordinal as ordinal_words

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = listed("january february march april may june july august september october november december")
_CORRECTING = frozenset({"no", "not", "instead", "mean", "meant", "sorry", "actually"})
_PERIODS = {
    "morning": time(10),
    "noon": time(12),
    "midday": time(12),
    "lunchtime": time(12),
    "afternoon": time(14),
    "evening": time(17),
}


def read_day(words: tuple[str, ...], today: date, awaited: bool) -> date | None:
    """The day meant, today or later: "tomorrow", "next tuesday", "the fourteenth", "december third", "in two days"."""
    text = " ".join(words)
    if "day after tomorrow" in text:
        return today + timedelta(days=2)
    for word, ahead in (("tomorrow", 1), ("today", 0), ("tonight", 0)):
        if any(other == word or (len(other) > 5 and alike(other, word) > 0.85) for other in words):
            return today + timedelta(days=ahead)
    if found := re.search(r"\bin (\w+) (day|week)s?\b", text):
        count = numbers((found.group(1),))
        if count:
            return today + timedelta(days=int(count[0].value) * (7 if found.group(2) == "week" else 1))
    dated = _read_date(words, today, awaited)
    if dated is not None:
        return dated
    return _read_weekday(words, today)


def read_time(words: tuple[str, ...], awaited: bool) -> time | None:
    """The time meant. An hour from one to seven without more is taken for the afternoon: viewings happen by day."""
    text = " ".join(words)
    if found := re.search(r"\b(half|quarter|ten|twenty|five)( past| to) (\w+)\b", text):
        clock = _relative(*found.groups())
        if clock is not None:
            return clock
    for word in words:
        if found := re.fullmatch(r"(\d{1,2})(?::(\d\d))?(am|pm)?", word):
            hour, minute, half = found.groups()
            if minute or half:
                return _clock(int(hour), int(minute or 0), half or _half(words))
    for number in numbers(words):
        before = words[number.start - 1] if number.start else ""
        after = words[number.end] if number.end < len(words) else ""
        marked = before in ("at", "around", "about", "by", "say", "to") or after in ("o'clock", "am", "pm", "oclock")
        marked = marked or (after == "in" and "the" in words) or after == "o"
        if number.value <= 23 and number.value >= 1 and (marked or awaited):
            if after in ("day", "days", "week", "weeks", "bed", "bedroom", "bedrooms", "minutes", "people"):
                continue
            following = [other for other in numbers(words) if other.start == number.end and other.value in range(5, 60)]
            return _clock(int(number.value), int(following[0].value) if following else 0, _half(words))
        minutes = next((other for other in numbers(words) if other.start == number.end), None)
        if minutes is not None and 1 <= number.value <= 12 and minutes.value in (10, 15, 20, 30, 40, 45, 50):
            return _clock(int(number.value), int(minutes.value), _half(words))
    for word, clock in _PERIODS.items():
        if word in words and (awaited or word in ("noon", "midday")):
            return clock
    return None


def say_day(day: date, today: date) -> str:
    """ "today", "tomorrow", else "Friday the fourth of December"."""
    if day == today:
        return "today"
    if day == today + timedelta(days=1):
        return f"tomorrow, {_DAYS[day.weekday()].title()}"
    return f"{_DAYS[day.weekday()].title()} the {ordinal_words(day.day)} of {_MONTHS[day.month - 1].title()}"


def say_time(clock: time) -> str:
    """ "half past two", "quarter to four", "three o'clock", "ten twenty"."""
    hour, following = clock.hour % 12 or 12, (clock.hour + 1) % 12 or 12
    match clock.minute:
        case 0 if clock.hour == 12:
            return "midday"
        case 0:
            return f"{cardinal(hour)} o'clock"
        case 15:
            return f"quarter past {cardinal(hour)}"
        case 30:
            return f"half past {cardinal(hour)}"
        case 45:
            return f"quarter to {cardinal(following)}"
        case minute:
            return f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"


def _read_weekday(words: tuple[str, ...], today: date) -> date | None:
    for at, word in enumerate(words):
        if word == "weekend":
            return _coming(today, 5)
        day = next((n for n, name in enumerate(_DAYS) if word == name or word in (name + "s", name[:3])), None)
        if day is None and len(word) > 5 and word.endswith("day"):
            day = next((n for n, name in enumerate(_DAYS) if alike(word, name) > 0.8), None)
        if day is None or word in ("sun", "sat", "wed", "mon"):
            continue
        if _CORRECTING & set(words) and _weekdays(words) > 1 and _weekdays(words[at + 1 :]):
            continue  # "not Thursday, Friday": the last one counts
        found = _coming(today, day)
        this_week = found.isocalendar().week == today.isocalendar().week
        if at and words[at - 1] == "next" and this_week:
            return found + timedelta(days=7)
        return found
    return None


def _weekdays(words: tuple[str, ...]) -> int:
    return sum(word in _DAYS for word in words)


def _coming(today: date, weekday: int) -> date:
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def _read_date(words: tuple[str, ...], today: date, awaited: bool) -> date | None:
    month = next(
        (n for n, name in enumerate(_MONTHS, start=1) if name in words and (name != "may" or "of" in words)), 0
    )
    for at, word in enumerate(words):
        found = ordinal(words, at)
        if found is None and month and (number := next((n for n in numbers(words) if n.start == at), None)):
            found = (int(number.value), number.end)
        if found is None or not 1 <= found[0] <= 31:
            continue
        day, end = found
        after = words[end] if end < len(words) else ""
        before = words[at - 1] if at else ""
        if after in ("one", "house", "flat", "home", "property", "floor", "place"):
            continue
        if month or word[0].isdigit() or (before == "the" and (awaited or day > 5)) or before in _DAYS:
            return _next_date(today, day, month)
    return None


def _next_date(today: date, day: int, month: int) -> date | None:
    for ahead in range(13):
        year, index = divmod(today.month - 1 + ahead, 12)
        candidate_year, candidate_month = today.year + year, index + 1
        if month and candidate_month != month:
            continue
        if day <= monthrange(candidate_year, candidate_month)[1]:
            candidate = date(candidate_year, candidate_month, day)
            if candidate >= today:
                return candidate
    return None


def _relative(part: str, direction: str, hour_word: str) -> time | None:
    hours = numbers((hour_word,))
    if not hours or not 1 <= hours[0].value <= 12:
        return None
    minutes = {"half": 30, "quarter": 15, "five": 5, "ten": 10, "twenty": 20}[part]
    hour = int(hours[0].value)
    if direction.strip() == "to":
        hour, minutes = (hour - 1) or 12, 60 - minutes
    return _clock(hour, minutes, "")


def _half(words: tuple[str, ...]) -> str:
    if "am" in words or "morning" in words:
        return "am"
    return "pm" if "pm" in words or "afternoon" in words or "evening" in words else ""


def _clock(hour: int, minute: int, half: str) -> time | None:
    if hour > 23 or minute > 59:
        return None
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    elif not half and 1 <= hour <= 7:
        hour += 12
    return time(hour, minute)
