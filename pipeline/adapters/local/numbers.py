"""Numbers in what a caller said: "four hundred and fifty thousand", "450k", "two". Pure."""

from dataclasses import dataclass

from pipeline.adapters.local.words import listed

_UNITS = {
    word: value
    for value, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(listed("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
_SCALES = {"thousand": 1_000, "grand": 1_000, "k": 1_000, "million": 1_000_000}
ORDINALS = {
    word: value
    for value, word in enumerate(
        listed(
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ),
        start=1,
    )
} | {"thirtieth": 30}


@dataclass(frozen=True, slots=True)
class Number:
    """A number, and the half-open range of tokens it was said with."""

    value: float
    start: int
    end: int


def numbers(words: tuple[str, ...]) -> list[Number]:
    """All cardinal numbers, in order. "three thirty" is two numbers, "thirty three" is one."""
    found: list[Number] = []
    at = 0
    while at < len(words):
        number = _read(words, at)
        if number is None:
            at += 1
        else:
            found.append(number)
            at = number.end
    return found


def ordinal(words: tuple[str, ...], at: int) -> tuple[int, int] | None:
    """An ordinal at token ``at`` as (value, end): "fourteenth", "twenty first", "14th"."""
    word = words[at]
    if word[:-2].isdigit() and word[-2:] in ("st", "nd", "rd", "th"):
        return int(word[:-2]), at + 1
    if word in ORDINALS:
        return ORDINALS[word], at + 1
    if word in _TENS and at + 1 < len(words) and ORDINALS.get(words[at + 1], 10) < 10:
        return _TENS[word] + ORDINALS[words[at + 1]], at + 2
    return None


def _read(words: tuple[str, ...], start: int) -> Number | None:
    """The longest number from ``start``: groups below a thousand, each with its scale."""
    total, at, seen = 0.0, start, False
    while at < len(words):
        group = _group(words, at)
        if group is None:
            break
        value, after = group
        if seen and not (total % 1000 == 0 and value < 1000 and total >= 1000):
            break
        scale = 1
        while after < len(words) and words[after] in _SCALES:
            scale *= _SCALES[words[after]]
            after += 1
        if seen and scale >= 1000 and total < 1_000_000:
            break
        total, at, seen = total + value * scale, after, True
        if scale == 1:
            break
        if at < len(words) and words[at] == "and":
            at += 1
    if not seen:
        return None
    return Number(total, start, at - 1 if words[at - 1] == "and" else at)


def _group(words: tuple[str, ...], at: int) -> tuple[float, int] | None:
    """A value below a thousand (or digits of any size) at ``at``, with the index after it."""
    word = words[at]
    if word[0].isdigit():
        digits = word.replace(",", "")
        scale = 1000 if digits.endswith("k") else 1
        try:
            return float(digits.removesuffix("k")) * scale, at + 1
        except ValueError:
            return None
    if word == "a" and at + 1 < len(words) and words[at + 1] in ("hundred", "thousand", "million"):
        value, at = 1, at + 1
        if words[at] != "hundred":
            return 1, at
    elif word in _UNITS:
        value, at = _UNITS[word], at + 1
    elif word in _TENS:
        value, at = _TENS[word], at + 1
        if at < len(words) and 0 < _UNITS.get(words[at], 99) < 10:
            value, at = value + _UNITS[words[at]], at + 1
        return value, at
    else:
        return None
    if at < len(words) and words[at] == "hundred" and value < 20:
        value, at = value * 100, at + 1
        rest = at + 1 if at < len(words) and words[at] == "and" else at
        another = rest + 1 < len(words) and words[rest] in _UNITS and words[rest + 1] in _TENS  # "... and three fifty"
        tail = _group(words, rest) if rest < len(words) and words[rest] in _UNITS | _TENS and not another else None
        if tail is not None and tail[0] < 100:
            return value + tail[0], tail[1]
    return value, at
