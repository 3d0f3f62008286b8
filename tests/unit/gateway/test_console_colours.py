"""Text of the console can be read: contrast by WCAG 2.2 (section 1.4.3), in light and in dark."""

import re

import pytest

from gateway.console import FOLDER

STYLE = (FOLDER / "style.css").read_text()
TEXT = ["ink", "soft", "pale", "caller", "agent", "bad", "good", "warn"]
GROUNDS = ["paper", "panel", "well"]
LEAST = 4.5


def colours(theme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    named = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return named | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark)) if theme == "dark" else {})


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of ``#rrggbb``."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(theme: str) -> None:
    named = colours(theme)
    pairs = [(text, ground) for text in TEXT for ground in GROUNDS if not (text == "pale" and ground == "well")]
    pairs += [("on-strong", strong) for strong in ("good", "bad", "warn")]
    poor = {pair: round(contrast(named[pair[0]], named[pair[1]]), 2) for pair in pairs}
    assert {pair: found for pair, found in poor.items() if found < LEAST} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_parts_of_the_latency_stand_out(theme: str) -> None:
    """Graphics need 3:1 (section 1.4.11)."""
    named = colours(theme)
    for part in ("endpointing", "stt", "model", "tts", "playout"):
        assert contrast(named[part], named["well"]) >= 3, part
