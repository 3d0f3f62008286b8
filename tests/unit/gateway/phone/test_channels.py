"""One channel out of two, however the bytes are cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone.channels import FirstChannel


@given(st.lists(st.integers(-32768, 32767), max_size=40), st.data())
def test_any_cut_gives_the_first_channel(samples: list[int], data: st.DataObject) -> None:
    pairs = np.array([[sample, 7] for sample in samples], "<i2").reshape(-1).tobytes()
    first, found = FirstChannel(), b""
    while pairs:
        cut = data.draw(st.integers(1, len(pairs)))
        found += first.push(pairs[:cut])
        pairs = pairs[cut:]
    assert found == np.array(samples, "<i2").tobytes()
