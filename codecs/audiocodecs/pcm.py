"""Linear 16-bit PCM on the wire: little-endian (``pcm16``) and network byte order (``l16``, RFC 3551 §4.5.11)."""

from typing import Literal

import numpy as np

from voicegate.kernel.audio import Samples

ByteOrder = Literal["little", "big"]

_DTYPE: dict[ByteOrder, str] = {"little": "<i2", "big": ">i2"}


def pcm_encode(samples: Samples, order: ByteOrder = "little") -> bytes:
    """The samples as bytes, two a sample."""
    return samples.astype(_DTYPE[order], copy=False).tobytes()


class PcmDecoder:
    """Bytes of any length to int16 samples. A sample cut in half by a message border waits for its other half."""

    def __init__(self, order: ByteOrder = "little") -> None:
        self._dtype = _DTYPE[order]
        self._rest = b""

    def push(self, data: bytes) -> Samples:
        """Samples completed by ``data``: int16, shape (n,)."""
        data = self._rest + data
        whole = len(data) & ~1
        self._rest = data[whole:]
        return np.frombuffer(data, self._dtype, count=whole // 2).astype(np.int16)

    def flush(self) -> Samples:
        """End of stream: half a sample is no sample, so it is dropped. Always empty."""
        self._rest = b""
        return np.empty(0, np.int16)
