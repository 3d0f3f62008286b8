"""What a datagram on our one port is, by its first bytes (RFC 7983, RFC 5761 section 4). Pure."""

from enum import IntEnum

_COOKIE = b"\x21\x12\xa4\x42"
_STUN_HEADER = 20
_DTLS_HEADER = 13
_RTP_HEADER = 12
_RTCP_HEADER = 8
_MOST = 1_500
"""An Ethernet frame: nobody on the other side of DTLS and SRTP sends more."""


class Kind(IntEnum):
    STUN = 1
    DTLS = 2
    RTP = 3
    RTCP = 4
    NOISE = 5
    """Nothing that may stand here."""


def classify(datagram: bytes) -> Kind:
    """Total: every datagram has a kind, the empty one too."""
    size = len(datagram)
    if size < _RTCP_HEADER or size > _MOST:
        return Kind.NOISE
    first = datagram[0]
    if first < 4:
        shaped = size >= _STUN_HEADER and not size % 4 and datagram[4:8] == _COOKIE
        return Kind.STUN if shaped else Kind.NOISE
    if 20 <= first < 64:
        return Kind.DTLS if size >= _DTLS_HEADER else Kind.NOISE
    if 128 <= first < 192:
        if 192 <= datagram[1] < 224:
            return Kind.RTCP
        return Kind.RTP if size >= _RTP_HEADER else Kind.NOISE
    return Kind.NOISE
