"""Text as simple engines must be given it, and which written word each piece of it stands for. No I/O.

flite and espeak-ng read plain English well and stumble over what is not: prices, clock times, telephone numbers,
symbols, abbreviations of addresses, e-mail addresses. Each written word is turned into what a person would say; what
the engines read correctly themselves (small numbers, ordinals, "Dr.", hyphens) is left to them. History and
transcripts keep the written words, so the result remembers where each one stands.
"""

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass

from pipeline.adapters.spoken_numbers import cardinal, clock, decimal, digits, ordinal, year


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A phrase as an engine gets it."""

    text: str
    """ASCII, single spaces."""
    written: tuple[str, ...]
    """The phrase's words as written, split at whitespace."""
    starts: tuple[int, ...]
    """For each written word the offset in ``text`` of its spoken form (of what follows, if it has none)."""

    def written_index(self, end: int) -> int | None:
        """Index of the written word that a piece of ``text`` which begins before offset ``end`` belongs to."""
        index = bisect_left(self.starts, end) - 1
        return index if index >= 0 else None


@dataclass(frozen=True, slots=True)
class _Word:
    """A written word with its neighbours, all without the punctuation around them."""

    core: str
    stop: str
    """The one mark of ``.,;:!?`` that closes it, or nothing."""
    before: str
    after: str
    in_number: bool = False
    """The word before was part of a telephone number."""


_PLAIN = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "“": "",
        "”": "",
        '"': "",
        "–": "-",
        "—": ", ",
        "‑": "-",
        "…": ",",
        "\u00a0": " ",
        "²": "2",
        "×": "x",
        "½": ".5",
        "¼": ".25",
        "¾": ".75",
    }
)
_EDGES = re.compile(r"^[^\w£$€+#&@%.]*(.*?)([^\w%&+]*)$", re.DOTALL)
_MONEY = re.compile(r"([£$€])(\d[\d,]*)(?:\.(\d+))?(k|m|bn|K|M)?(?:/(\w+))?")
_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})(am|pm|AM|PM)?")
_HOUR = re.compile(r"(\d{1,2})(am|pm|AM|PM)")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_PHONE = re.compile(r"\+\d[\d-]*|0\d{2,}[\d-]*|\d{3}-\d{3}-\d{4}|\d{3}-\d{4}|\(?\d{3,}\)?")
_PHONE_START = re.compile(r"\+\d[\d-]*|0\d{2,}[\d-]*|\d{3}-\d{3}-\d{4}|\d{3}-\d{4}")
_AREA = re.compile(r"(\d[\d,]*(?:\.\d+)?)(m2|sqm|sqft|ft2|km|cm|mm|kg|m|ft)")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+")
_RANGE = re.compile(r"([£$€]?\d[\d,.:]*(?:am|pm)?)-([£$€]?\d[\d,.:]*(?:am|pm)?)")
_ADDRESS = re.compile(r"(?:https?://)?([\w+-]+(?:\.[\w+-]+)*@)?([\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})(/[\w./-]*)?")
_DASHES = frozenset({"-", "--", "–", "—"})
_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_CURRENCY = {"£": ("pound", "pence"), "$": ("dollar", "cents"), "€": ("euro", "cents")}
_SCALE = {"k": " thousand", "K": " thousand", "m": " million", "M": " million", "bn": " billion"}
_UNITS = {
    "m2": "square meters",
    "sqm": "square meters",
    "ft2": "square feet",
    "sqft": "square feet",
    "km": "kilometers",
    "cm": "centimeters",
    "mm": "millimeters",
    "m": "meters",
    "ft": "feet",
    "kg": "kilograms",
}
_AFTER_NUMBER = {**_UNITS, "sq": "square", "am": "A M", "pm": "P M", "a.m": "A M", "p.m": "P M", "hrs": "hours"}
_ABBREVIATIONS = {
    "pcm": "per calendar month",
    "p.c.m": "per calendar month",
    "pw": "per week",
    "p.w": "per week",
    "pa": "per annum",
    "e.g": "for example",
    "i.e": "that is",
    "etc": "et cetera",
    "vs": "versus",
    "approx": "approximately",
    "incl": "including",
    "rd": "road",
    "ave": "avenue",
    "blvd": "boulevard",
    "apt": "apartment",
    "ms": "miz",
    "prof": "professor",
    "tel": "telephone",
    "wifi": "why fye",
    "wi-fi": "why fye",
    "24/7": "twenty four seven",
    "&": "and",
    "+": "plus",
    "@": "at",
    "%": "percent",
    "m2": "square meters",
    "sqm": "square meters",
    "ft2": "square feet",
}
_WITHOUT_DOT_IS_A_WORD = {"ms", "pa", "rd"}


def spoken(phrase: str) -> SpokenText:
    """The phrase in words that engines read well.

    A word that says nothing (a dash, an emoji, a bracket) has an empty spoken form; if it stands for a pause, the
    word before it gets a comma.
    """
    written = tuple(phrase.split())
    split = [_split(word) for word in written]
    said: list[str] = []
    starts: list[int] = []
    offset = 0
    in_number = False
    for index, (core, stop) in enumerate(split):
        before = split[index - 1][0] if index else ""
        after = split[index + 1][0] if index + 1 < len(split) else ""
        word = _Word(core, stop, before, after, in_number)
        in_number = _is_phone(word) and stop in ("", ",")
        form = _close(word, _ascii(_say(word)), last=index + 1 == len(split))
        if said and said[-1][-1].isalnum() and _pauses_before(written[index], core):
            said[-1] += ","
            offset += 1
        starts.append(offset)
        if form:
            said.append(form)
            offset += len(form) + 1
    return SpokenText(" ".join(said), written, tuple(starts))


def _pauses_before(written: str, core: str) -> bool:
    """Whether one pauses before a word: a dash alone, or a bracket that opens and is not a telephone number's."""
    return written in _DASHES or (written.startswith("(") and not core.isdigit())


def _split(word: str) -> tuple[str, str]:
    plain = word.translate(_PLAIN)
    match = _EDGES.match(plain)
    core, tail = (match[1], match[2]) if match else (plain, "")
    return core, next((mark for mark in reversed(tail) if mark in ".,;:!?"), "," if ")" in tail else "")


def _close(word: _Word, form: str, *, last: bool) -> str:
    """The spoken form with the mark that closes it, once. Engines take only the mark for a pause.

    The point of an abbreviation in the middle of a phrase closes nothing.
    """
    if not form or not word.stop:
        return form
    if word.stop == "." and not last and _say_symbolic(word):
        return form
    return form.rstrip(" .,;:!?") + word.stop


def _ascii(text: str) -> str:
    """Accents taken off; whatever else the engines have no sound for is dropped, not read by its name."""
    flat = unicodedata.normalize("NFKD", text)
    kept = "".join(c if c.isalnum() or c in " '.,;:!?%$-/&" else " " for c in flat if not unicodedata.combining(c))
    return " ".join(kept.encode("ascii", "ignore").decode("ascii").split())


def _is_phone(word: _Word) -> bool:
    if word.in_number:
        return _PHONE.fullmatch(word.core) is not None
    if word.core.isdigit() and re.fullmatch(r"\d{3}-\d{4}", word.after):
        return True
    if _PHONE_START.fullmatch(word.core):
        return sum(c.isdigit() for c in word.core) >= 7 or _PHONE.fullmatch(word.after) is not None
    return False


def _say(word: _Word) -> str:
    """What a person says for a written word."""
    core = word.core
    if core.isalpha() and core.isascii() and len(core) > 5:
        return core  # most words
    if _is_phone(word):
        return ", ".join(filter(None, (_phone_group(part) for part in re.split(r"[-()]", core)))) + ","
    return _say_symbolic(word) or _say_numeric(core) or _say_address(core) or core


def _phone_group(group: str) -> str:
    return ("plus " if group.startswith("+") else "") + digits(group)


def _say_symbolic(word: _Word) -> str | None:
    """Abbreviations and units, some of which depend on the words around them."""
    low = word.core.lower().rstrip(".")
    if low in _AFTER_NUMBER and (word.before[-1:].isdigit() or word.before == "sq"):
        return _AFTER_NUMBER[low]
    if low == "no" and word.stop == "." and word.after[:1].isdigit():
        return "number"
    if low == "st" and word.core[0] == "S":
        return "saint" if word.after[:1].isupper() and not word.before[:1].isupper() else "street"
    if low in _WITHOUT_DOT_IS_A_WORD and word.stop != "." and word.core.islower():
        return None
    return _ABBREVIATIONS.get(low)


def _say_numeric(core: str) -> str | None:
    """Prices, clock times, dates, quantities and ranges."""
    if match := _MONEY.fullmatch(core):
        return _money(*match.groups())
    if (match := _CLOCK.fullmatch(core)) and (":" in core or match[3]) and int(match[1]) < 25 and int(match[2]) < 60:
        return clock(int(match[1]), int(match[2])).removesuffix(" o'clock" if match[3] else "") + _half_day(match[3])
    if match := _HOUR.fullmatch(core):
        return cardinal(int(match[1])) + _half_day(match[2])
    if (match := _ISO_DATE.fullmatch(core)) and 1 <= int(match[2]) <= 12:
        return f"{_MONTHS[int(match[2]) - 1]} {ordinal(int(match[3]))}, {year(int(match[1]))}"
    if match := _AREA.fullmatch(core):
        return f"{decimal(match[1])} {_UNITS[match[2]]}"
    if match := _RANGE.fullmatch(core):
        return f"{_say_numeric(match[1]) or match[1]} to {_say_numeric(match[2]) or match[2]}"
    return decimal(core) if _NUMBER.fullmatch(core) else None


def _half_day(suffix: str | None) -> str:
    return f" {suffix[0].upper()} M" if suffix else ""


def _money(sign: str, whole: str, fraction: str | None, scale: str | None, per: str | None) -> str:
    unit, small = _CURRENCY[sign]
    amount = int(whole.replace(",", ""))
    plural = "" if amount == 1 and not scale and not fraction else "s"
    if scale or (fraction and len(fraction) != 2):
        words = decimal(f"{whole}.{fraction}" if fraction else whole) + _SCALE.get(scale or "", "") + f" {unit}{plural}"
    else:
        words = f"{cardinal(amount)} {unit}{plural}"
        if fraction and int(fraction):
            words += f" {cardinal(int(fraction))}" + (f" {small}" if amount == 0 else "")
    return f"{words} per {per}" if per else words


def _say_address(core: str) -> str | None:
    """E-mail and web addresses; a slash between words."""
    if match := _ADDRESS.fullmatch(core):
        user, host, path = match.groups()
        said = host.removeprefix("www.").replace(".", " dot ").replace("-", " dash ")
        if user:
            name = user[:-1].replace(".", " dot ").replace("-", " dash ").replace("_", " underscore ")
            said = f"{name} at {said}"
        return said + (path or "").rstrip("/").replace("/", " slash ").replace("-", " dash ").replace(".", " dot ")
    if "/" in core and not core[0].isdigit():
        return core.replace("/", " or ") if core.lower() != "and/or" else "and or"
    return None
