"""Trickle fragments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webrtc.fragment import read_fragment
from voicegate.kernel.errors import RefusedCall

FRAGMENT = b"""a=ice-ufrag:EsAw\r
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r
m=audio 9 UDP/TLS/RTP/SAVPF 0\r
a=mid:0\r
a=candidate:1 1 udp 2113937151 192.0.2.1 51911 typ host generation 0 ufrag EsAw\r
a=candidate:x\r
a=end-of-candidates\r
"""


def test_reading() -> None:
    fragment = read_fragment(FRAGMENT)
    assert (fragment.ufrag, fragment.end) == ("EsAw", True)
    assert [(each.host, each.port) for each in fragment.candidates] == [("192.0.2.1", 51911)]


def test_parts_of_it() -> None:
    assert read_fragment(b"a=end-of-candidates").end
    assert not read_fragment(b"a=ice-ufrag:" + b"x" * 1000).end
    assert len(read_fragment(b"a=ice-ufrag:" + b"x" * 1000).ufrag) == 256


@pytest.mark.parametrize("body", [b"", b"a=mid:0", b"candidate:1", b"{}", b"\xff", b"a=x\n" * 300])
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedCall):
        read_fragment(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_fragment_or_refused(body: bytes) -> None:
    code = "read"
    try:
        read_fragment(body)
    except RefusedCall as refusal:
        code = refusal.code
    assert code in {"read", "bad_sdp", "too_large"}
