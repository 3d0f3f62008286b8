"""libopus itself: what PyAV's codec contexts do not offer, and at a third of their cost.

RTP needs the decoder at 16 kHz (libopus resamples inside, nearly for free), in-band forward error correction (RFC 6716
§4.2.5) and concealment; the encoder needs to be told the loss (RFC 7587 §3.1.1, §3.3). The library is the one in
PyAV's wheel, else the system's. Buffers are made once for each codec; a call costs about 1 µs on top of libopus.

Calls hold the interpreter's lock (``PyDLL``). A frame takes 10 to 110 µs, and to let go of the lock for that time means
that a busy thread may keep it for the interpreter's switch interval, 5 ms: a quarter of a frame, at every packet.

RFC 6716 makes any bytes safe to decode: a packet is audio or an error. What no Opus decoder may be trusted with is an
output buffer that is too small, so that one is always the longest packet's, 120 ms.
"""

import ctypes
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from voicegate.kernel.audio import FRAME_MS, PIPELINE_RATE_HZ, Frame, Samples, frame_samples
from voicegate.kernel.errors import AudioError

MAX_PACKET_BYTES: Final = 1_275
"""The longest packet of one frame (RFC 6716 §3.4). Our encoder makes one frame a packet."""

MAX_PACKET_MS: Final = 120
"""The longest packet (RFC 6716 §3.2.5)."""

RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Rates that libopus takes and gives."""

_OK: Final = 0
_APPLICATION_VOIP: Final = 2048
_SIGNAL_VOICE: Final = 3001
_SIGNAL_MUSIC: Final = 3002
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_LOSS_PERCENT: Final = 4014
_SET_DTX: Final = 4016
_SET_SIGNAL: Final = 4024
_GET_LOOKAHEAD: Final = 4027
_RESET_STATE: Final = 4028
_SET_GAIN: Final = 4034


class OpusMissing(AudioError):
    """There is no libopus: neither in PyAV's wheel nor in the system."""


@cache
def library() -> Any:
    """The shared library, loaded once a process.

    Raises:
        OpusMissing: none was found, or it would not load.
    """
    names = [str(path) for path in _wheel_libraries()] + [name for name in (find_library("opus"),) if name]
    for name in names:
        try:
            return _declared(ctypes.PyDLL(name))
        except OSError:
            continue
    raise OpusMissing("libopus was not found: neither in the package av nor in the system (Debian: libopus0)")


def version() -> str:
    """``libopus 1.6.1``."""
    name: bytes = library().opus_get_version_string()
    return name.decode()


def has_fec(packet: bytes) -> bool:
    """The packet carries a second, smaller copy of the audio before it (RFC 6716 §4.2.4).

    The flag is one of the first bits of the first frame, after one voice activity flag for each 20 ms; range coding
    of equally likely bits leaves them readable. A packet that is not Opus has none.
    """
    if len(packet) < 2 or packet[0] & 0x80:
        return False
    start = ctypes.c_int()
    if library().opus_packet_parse(packet, len(packet), None, None, _sizes, ctypes.byref(start)) <= 0:
        return False
    if start.value >= len(packet) or _sizes[0] == 0:
        return False
    config = packet[0] >> 3
    flags = max(1, (10, 20, 40, 60)[config & 3] // 20) if config < 12 else 1
    return bool(packet[start.value] >> (7 - flags) & 1)


class Decoder:
    """Packets of one stream to mono int16 at ``rate_hz``; stereo is mixed down by libopus.

    A packet that is refused leaves the decoder as it was.

    Args:
        rate_hz: one of :data:`RATES_HZ`.
        gain: in 1/256 dB, as an OpusHead carries it (RFC 7845 §5.1).

    Raises:
        OpusMissing: there is no libopus.
        AudioError: a rate that Opus does not have.
    """

    def __init__(self, rate_hz: int = PIPELINE_RATE_HZ, *, gain: int = 0) -> None:
        self.rate_hz = rate_hz
        self._lib = library()
        self._state = _State(self._lib.opus_decoder_get_size(1))
        _check(self._lib.opus_decoder_init(self._state.address, rate_hz, 1), "decoder")
        if gain:
            _check(self._lib.opus_decoder_ctl(self._state.address, _SET_GAIN, ctypes.c_int(gain)), "gain")
        self._most = rate_hz * MAX_PACKET_MS // 1000
        self._step = rate_hz // 400
        self._out = np.zeros(self._most, np.int16)
        self._to = self._out.ctypes.data

    def decode(self, packet: bytes) -> Samples:
        """The packet's audio: int16, shape (n,), a copy.

        Raises:
            AudioError: it is not an Opus packet of 2.5 to 120 ms.
        """
        if not packet:  # libopus takes that for a lost packet
            raise AudioError("an Opus packet is empty")
        return self._run(packet, len(packet), self._most, 0)

    def decode_fec(self, packet: bytes, samples: int) -> Samples:
        """The ``samples`` that were lost just before ``packet``, of which its second copy gives the last frame and
        concealment the rest. Where it has no copy all is concealment (see :func:`has_fec`). Decode the packet itself
        afterwards.

        Raises:
            AudioError: not an Opus packet, or no multiple of 2.5 ms up to 120 ms.
        """
        if not packet:
            raise AudioError("an Opus packet is empty")
        return self._run(packet, len(packet), self._whole(samples), 1)

    def conceal(self, samples: int) -> Samples:
        """A guess at ``samples`` lost samples, that fades out (or is comfort noise after a pause of the sender).

        Raises:
            AudioError: no multiple of 2.5 ms up to 120 ms.
        """
        return self._run(None, 0, self._whole(samples), 0)

    def reset(self) -> None:
        """As new: another stream begins."""
        _check(self._lib.opus_decoder_ctl(self._state.address, _RESET_STATE), "reset")

    def _whole(self, samples: int) -> int:
        if not 0 < samples <= self._most or samples % self._step:
            raise AudioError(f"Opus cannot fill a gap of {samples} samples at {self.rate_hz} Hz")
        return samples

    def _run(self, packet: bytes | None, size: int, samples: int, fec: int) -> Samples:
        got = self._lib.opus_decode(self._state.address, packet, size, self._to, samples, fec)
        if got < 0:
            raise AudioError(f"libopus refuses a packet of {size} bytes: {self._lib.opus_strerror(got).decode()}")
        return self._out[:got].copy()


class Encoder:
    """Frames of mono speech at ``rate_hz`` to packets of 20 ms: application VoIP, signal voice (RFC 6716 §2.1).

    Args:
        rate_hz: one of :data:`RATES_HZ`.
        bit_rate: bits per second, variable.
        complexity: 0 to 10. Measured on speech at 16 kHz, a frame costs 40 µs at 0 and 1, 75 µs at 2, 107 µs at 5 and
            153 µs at 10.
        fec: send a second, smaller copy of each frame with the next one, as far as :meth:`expect_loss` says that it
            is worth it.
        dtx: in silence, packets of at most two bytes, which need not be sent (RFC 7587 §3.1.3).

    Raises:
        OpusMissing: there is no libopus.
        AudioError: a value that Opus does not take.
    """

    def __init__(
        self,
        rate_hz: int = PIPELINE_RATE_HZ,
        *,
        bit_rate: int = 24_000,
        complexity: int = 5,
        fec: bool = False,
        dtx: bool = False,
    ) -> None:
        self.rate_hz = rate_hz
        self._lib = library()
        self._state = _State(self._lib.opus_encoder_get_size(1))
        _check(self._lib.opus_encoder_init(self._state.address, rate_hz, 1, _APPLICATION_VOIP), "encoder")
        self._samples = frame_samples(rate_hz)
        self._in = np.zeros(self._samples, np.int16)
        self._from = self._in.ctypes.data
        self._out = (ctypes.c_char * MAX_PACKET_BYTES)()
        self._to = ctypes.addressof(self._out)
        self._view = memoryview(self._out)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_DTX, int(dtx))
        self._set(_SET_INBAND_FEC, int(fec))
        self.set_bit_rate(bit_rate)

    def encode(self, frame: Frame) -> bytes:
        """The packet of one frame.

        Raises:
            AudioError: not a frame of 20 ms at ``rate_hz``.
        """
        if frame.shape != (self._samples,):
            raise AudioError(f"{frame.shape} samples are no frame of {FRAME_MS} ms at {self.rate_hz} Hz")
        self._in[:] = frame
        size = self._lib.opus_encode(self._state.address, self._from, self._samples, self._to, MAX_PACKET_BYTES)
        _check(size, "frame")
        return self._view[:size].tobytes()

    @property
    def lookahead_samples(self) -> int:
        """By how much the decoder's output is later than the input, at ``rate_hz``."""
        value = ctypes.c_int()
        _check(self._lib.opus_encoder_ctl(self._state.address, _GET_LOOKAHEAD, ctypes.byref(value)), "look-ahead")
        return value.value

    def set_bit_rate(self, bit_rate: int) -> None:
        """Bits per second from the next frame on.

        Raises:
            AudioError: Opus does not take it.
        """
        self._set(_SET_BITRATE, bit_rate)

    def model_voice(self, model: bool) -> None:
        """Whether libopus codes by a model of the voice (SILK) from the next frame on, as it does unless told not to,
        or the spectrum as it is (CELT, from some 16 kbit/s on). The latter is a fifth cheaper at complexity 0 and no
        worse for speech at 32 kbit/s; it has no second copies (RFC 6716 §2.1.7)."""
        self._set(_SET_SIGNAL, _SIGNAL_VOICE if model else _SIGNAL_MUSIC)

    def expect_loss(self, percent: int) -> None:
        """How many packets of a hundred the peer is expected to miss; above 0 a second copy becomes worth its bits.

        Raises:
            AudioError: not 0 to 100.
        """
        self._set(_SET_LOSS_PERCENT, percent)

    def reset(self) -> None:
        """As new: the next packet needs no other before it."""
        _check(self._lib.opus_encoder_ctl(self._state.address, _RESET_STATE), "reset")

    def _set(self, request: int, value: int) -> None:
        what = f"request {request} with {value}"
        _check(self._lib.opus_encoder_ctl(self._state.address, request, ctypes.c_int(value)), what)


class _State:
    """Memory of a codec's state. libopus keeps no pointer into itself or elsewhere, so Python may own it."""

    __slots__ = ("_memory", "address")

    def __init__(self, size_bytes: int) -> None:
        # Of doubles, because the state wants the alignment of the largest C type.
        self._memory = (ctypes.c_longdouble * -(-size_bytes // ctypes.sizeof(ctypes.c_longdouble)))()
        self.address = ctypes.addressof(self._memory)


def _check(code: int, what: str) -> None:
    if code < _OK:
        raise AudioError(f"libopus refuses this {what}: {library().opus_strerror(code).decode()}")


def _wheel_libraries() -> list[Path]:
    """Where auditwheel, delocate and delvewheel put the libraries of PyAV's wheel."""
    spec = find_spec("av")
    if spec is None or spec.origin is None:
        return []
    package = Path(spec.origin).parent
    found = [*package.parent.glob("av.libs/libopus-*"), *package.glob(".dylibs/libopus.*")]
    return sorted([*found, *package.parent.glob("av.libs/opus*.dll")])


def _declared(lib: ctypes.PyDLL) -> ctypes.PyDLL:
    pointer, number = ctypes.c_void_p, ctypes.c_int32
    for name, arguments in {
        "opus_decoder_get_size": [number],
        "opus_decoder_init": [pointer, number, number],
        "opus_decode": [pointer, ctypes.c_char_p, number, pointer, number, number],
        "opus_encoder_get_size": [number],
        "opus_encoder_init": [pointer, number, number, number],
        "opus_encode": [pointer, pointer, number, pointer, number],
        "opus_packet_parse": [ctypes.c_char_p, number, pointer, pointer, pointer, pointer],
    }.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, number
    for name in ("opus_decoder_ctl", "opus_encoder_ctl"):  # variadic: only what is fixed is declared
        function = getattr(lib, name)
        function.argtypes, function.restype = [pointer, number], number
    lib.opus_strerror.argtypes, lib.opus_strerror.restype = [number], ctypes.c_char_p
    lib.opus_get_version_string.restype = ctypes.c_char_p
    return lib


_sizes = (ctypes.c_int16 * 48)()
"""Scratch for :func:`has_fec`: at most 48 frames a packet (RFC 6716 §3.2.5)."""
