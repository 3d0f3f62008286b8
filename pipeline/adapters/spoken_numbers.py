"""Numbers as English words, the way a receptionist says them. No I/O."""

_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", *_TEENS]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """``450_000`` is ``four hundred fifty thousand``. From 10**15 on, digit by digit."""
    if number >= 10**15:
        return digits(str(number))
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {_SMALL[ones]}" if ones else "")
    size, name = next((size, name) for size, name in _SCALES if number >= size)
    whole, rest = divmod(number, size)
    return f"{cardinal(whole)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """``21`` is ``twenty first``."""
    head, _, last = cardinal(number).rpartition(" ")
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{head} {last}".strip()


def digits(text: str) -> str:
    """``0`` is said ``oh``, as people do in telephone numbers. Characters other than digits are dropped."""
    return " ".join("oh" if digit == "0" else _SMALL[int(digit)] for digit in text if digit in "0123456789")


def decimal(text: str) -> str:
    """``1,200`` or ``3.05``: the whole part as a number, what follows the point digit by digit."""
    whole, _, fraction = text.replace(",", "").partition(".")
    words = cardinal(int(whole or "0"))
    return f"{words} point {digits(fraction).replace('oh', 'zero')}" if fraction else words


def year(number: int) -> str:
    """1000 to 2999: ``1905`` is ``nineteen oh five``, ``2007`` is ``two thousand seven``, ``2026`` ``twenty twenty
    six``."""
    century, rest = divmod(number, 100)
    if number % 1000 < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def clock(hours: int, minutes: int) -> str:
    """``10, 30`` is ``ten thirty``, ``9, 5`` is ``nine oh five``, ``10, 0`` is ``ten o'clock``."""
    if minutes == 0:
        return f"{cardinal(hours)} o'clock"
    return f"{cardinal(hours)} {'oh ' if minutes < 10 else ''}{cardinal(minutes)}"
