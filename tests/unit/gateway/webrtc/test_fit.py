"""Events that are longer than a message may be."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.fit import fit


def test_what_fits_is_left_alone() -> None:
    message = b'{"type": "ping",  "seq":1}'
    assert fit(message, len(message)) == message.decode()


def test_the_longest_text_is_cut() -> None:
    message = json.dumps({"type": "tool.finished", "seq": 7, "name": "search", "result": "x" * 100_000}).encode()
    text = fit(message, 65_535)
    assert len(text.encode()) <= 65_535
    fields = json.loads(text)
    assert (fields["type"], fields["seq"], fields["name"], fields["truncated"]) == ("tool.finished", 7, "search", True)
    assert fields["result"].endswith("x…")
    assert len(fields["result"]) > 65_000


def test_two_long_texts_are_both_cut() -> None:
    message = json.dumps({"type": "x", "a": "a" * 50_000, "b": '\\"' * 60_000}).encode()
    assert len(fit(message, 16_384).encode()) <= 16_384


def test_nothing_left_to_cut() -> None:
    assert json.loads(fit(b'{"type":"a","n":123456789}', 4))["n"] == 123456789


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=3000), max_size=6), st.integers(2_000, 20_000))
def test_the_limit_holds(fields: dict[str, str], limit: int) -> None:
    text = fit(json.dumps({"type": "x"} | fields).encode(), limit)
    assert len(text.encode()) <= limit
    json.loads(text)
