"""What a socket's kernel buffer holds that has not left this machine."""

import fcntl
import socket
import struct
import sys
from typing import Final

_SIOCOUTQNSD: Final = 0x894B
"""Linux: bytes of a TCP socket's send queue that were not sent yet (linux/sockios.h)."""


def kernel_bytes(sock: socket.socket | None) -> int:
    """Bytes that were written to ``sock`` and not sent; 0 where that cannot be told."""
    if sock is None or sys.platform != "linux":
        return 0
    try:
        answer = fcntl.ioctl(sock.fileno(), _SIOCOUTQNSD, b"\0\0\0\0")
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])
