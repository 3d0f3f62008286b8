"""One channel out of interleaved audio. PURE."""

import numpy as np


class FirstChannel:
    """The first of two channels of 16-bit samples, from bytes cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, data: bytes) -> bytes:
        """What ``data`` completes of the first channel."""
        data = self._rest + data
        whole = len(data) & ~3
        self._rest = data[whole:]
        return np.frombuffer(data, "<i2", count=whole // 2)[::2].tobytes()
