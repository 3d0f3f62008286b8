"""Marks that are written and not said."""

import pytest

from pipeline.markup import spoken_words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("**Very** _nice_ `flat`", "Very nice flat"),
        ("## Prices", "Prices"),
        ("- one", "one"),
        ("> 😀 * quoted", "quoted"),
        ("one - two", "one - two"),
        ("```python", ""),
        ("[Elm Street](https://a.b/c)", "Elm Street"),
        ("~~old~~ | new", "old new"),
        ("a_b 3*4 5 * 6", "a_b 3*4 5 6"),
        ("👩‍💻 works ✅", "works"),
        ("21 °C, 85 m², £5", "21 °C, 85 m², £5"),
    ],
)
def test_line(line: str, said: str) -> None:
    assert " ".join(spoken_words(line)) == said


def test_a_line_gone_on_with_keeps_its_dash() -> None:
    assert spoken_words("- it is", opens_line=False) == ["-", "it", "is"]
