"""libflite through ctypes: one voice a thread, audio in pieces while it is made, word times before the first piece.

The C library is Debian's ``libflite1`` (flite 2.2, soname ``libflite.so.1``). What is bound is its public header:
``cst_audio_streaming_info`` (``cst_audio.h``), ``cst_wave`` (``cst_wave.h``), the utterance functions (``cst_synth.h``)
and path lookups over items (``cst_item.h``). ctypes releases the GIL for the length of a call.

Threads: flite promises nothing, and counts references to values without a lock, so a voice belongs to one thread.
Registering a voice twice returns a static pointer; clearing that pointer first (it is exported) makes another voice,
which shares the constant model data. Registration itself is under :data:`_register_lock`.
"""

import ctypes
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_float, c_int, c_short, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np

from voicegate.kernel.audio import Samples
from voicegate.kernel.errors import ConfigError

SAMPLE_RATE_HZ = 16_000
VOICES = ("rms", "slt", "awb")
"""Statistical voices of Debian's package; ``rms`` is the one that recognisers understand best."""

_FIRST_PIECE_SAMPLES = 160
_PIECE_SAMPLES = 1280
"""flite calls back once it has more than this many new samples: soon at first, then every 80 ms of audio, which costs
0.8 ms of CPU, so that a cancelled synthesis ends within a millisecond or two and callbacks stay rare."""

_GO_ON, _STOP = 0, -1  # CST_AUDIO_STREAM_CONT, CST_AUDIO_STREAM_STOP
_START_PATH = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"
_END_PATH = b"R:SylStructure.daughtern.daughtern.R:Segment.end"
_register_lock = threading.Lock()


class _Wave(Structure):
    _fields_ = (
        ("type", c_char_p),
        ("sample_rate", c_int),
        ("num_samples", c_int),
        ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    )


_Callback = CFUNCTYPE(c_int, POINTER(_Wave), c_int, c_int, c_int, c_void_p)


class _StreamingInfo(Structure):
    _fields_ = (
        ("min_buffsize", c_int),
        ("asc", _Callback),
        ("utt", c_void_p),
        ("item", c_void_p),
        ("userdata", c_void_p),
    )


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the text as flite spoke it."""

    end_byte: int
    """One past the token's last byte in the text, or one more where another character follows."""
    start_s: float
    end_s: float
    """Equal to ``start_s`` for a token without sound, such as a lone dash."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Known as soon as durations are predicted, that is before the first audio."""

    tokens: tuple[Token, ...]
    speech_start_s: float
    """End of the pause that flite puts first."""
    speech_end_s: float
    """Start of the pause that it puts last."""


OnAudio = Callable[[Samples, Timing], bool]
"""Takes int16 mono at 16 kHz; answers False to stop the synthesis."""


def open_library(name: str) -> ctypes.CDLL:
    """A library of flite's; its symbols are global, because flite's libraries need each other's.

    Raises:
        ConfigError: it is missing.
    """
    try:
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ConfigError(f"flite needs {name}: apt-get install libflite1 ({error})") from error


@cache
def _library() -> ctypes.CDLL:
    """libflite and the English front end, with the signatures that we use.

    Raises:
        ConfigError: a library is missing.
    """
    lib = open_library("libflite.so.1")
    for name in ("libflite_cmulex.so.1", "libflite_usenglish.so.1"):
        open_library(name)
    signatures: dict[str, tuple[object, list[object]]] = {
        "flite_init": (c_int, []),
        "new_utterance": (c_void_p, []),
        "delete_utterance": (None, [c_void_p]),
        "utt_set_input_text": (None, [c_void_p, c_char_p]),
        "utt_init": (c_void_p, [c_void_p, c_void_p]),
        "utt_synth": (c_void_p, [c_void_p]),
        "utt_relation": (c_void_p, [c_void_p, c_char_p]),
        "relation_head": (c_void_p, [c_void_p]),
        "relation_tail": (c_void_p, [c_void_p]),
        "item_next": (c_void_p, [c_void_p]),
        "item_prev": (c_void_p, [c_void_p]),
        "item_daughter": (c_void_p, [c_void_p]),
        "item_last_daughter": (c_void_p, [c_void_p]),
        "item_feat_int": (c_int, [c_void_p, c_char_p]),
        "ffeature_float": (c_float, [c_void_p, c_char_p]),
        "ffeature_string": (c_char_p, [c_void_p, c_char_p]),
        "feat_set": (None, [c_void_p, c_char_p, c_void_p]),
        "feat_set_float": (None, [c_void_p, c_char_p, c_float]),
        "new_audio_streaming_info": (POINTER(_StreamingInfo), []),
        "audio_streaming_info_val": (c_void_p, [POINTER(_StreamingInfo)]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.flite_init()
    return lib


@cache
def _voice_library(name: str) -> ctypes.CDLL:
    _library()
    return open_library(f"libflite_cmu_us_{name}.so.1")


def load(voice: str) -> None:
    """Load the libraries of ``voice`` now rather than with the first phrase.

    Raises:
        ConfigError: unknown voice, or a library is missing; the message says how to mend it.
    """
    if voice not in VOICES:
        raise ConfigError(f"flite voice {voice!r}: allowed are {', '.join(VOICES)}")
    _voice_library(voice)


class Voice:
    """One flite voice. Use it from one thread at a time."""

    def __init__(self, name: str) -> None:
        self._lib = _library()
        library = _voice_library(name)
        register = getattr(library, f"register_cmu_us_{name}")
        register.restype, register.argtypes = c_void_p, [c_char_p]
        with _register_lock:
            c_void_p.in_dll(library, f"cmu_us_{name}_cg").value = None
            self._voice: int = register(None)

    def speak(self, text: str, on_audio: OnAudio, *, stretch: float = 1.0) -> None:
        """Synthesise ``text`` (ASCII), calling ``on_audio`` from this thread for every piece, in order.

        ``stretch`` multiplies durations. An exception of ``on_audio`` stops the synthesis and is raised here.
        """
        lib = self._lib
        utterance = lib.new_utterance()
        failure: list[BaseException] = []
        timing: list[Timing] = []
        # ``info`` holds the callback and that holds ``piece``: a cycle, were ``piece`` to hold ``info`` for longer than
        # the synthesis, and the phrase's audio would wait for the garbage collector.
        held: list[ctypes._Pointer[_StreamingInfo]] = []

        def piece(wave: "ctypes._Pointer[_Wave]", start: int, size: int, _last: int, _info: int) -> int:
            try:
                if not timing:
                    timing.append(self._timing(utterance))
                    held[0].contents.min_buffsize = _PIECE_SAMPLES
                address = ctypes.addressof(wave.contents.samples.contents) + 2 * start
                samples = np.frombuffer(bytearray(ctypes.string_at(address, 2 * size)), dtype=np.int16)
                return _GO_ON if on_audio(samples, timing[0]) else _STOP
            except BaseException as error:  # an exception must not cross C
                failure.append(error)
                return _STOP

        callback = _Callback(piece)
        info = lib.new_audio_streaming_info()  # belongs to the utterance once it is among its features
        held.append(info)
        info.contents.asc = callback
        info.contents.min_buffsize = _FIRST_PIECE_SAMPLES
        try:
            lib.utt_set_input_text(utterance, text.encode("ascii", "ignore"))
            lib.utt_init(utterance, self._voice)
            # Features of the utterance, the first field of its struct, are searched before the voice's.
            features = c_void_p.from_address(utterance).value
            lib.feat_set(features, b"streaming_info", lib.audio_streaming_info_val(info))
            lib.feat_set_float(features, b"duration_stretch", stretch)
            lib.utt_synth(utterance)
        finally:
            lib.delete_utterance(utterance)
            held.clear()
        if failure:
            raise failure[0]

    def _timing(self, utterance: int) -> Timing:
        lib = self._lib
        segments = lib.utt_relation(utterance, b"Segment")
        first, last = lib.relation_head(segments), lib.relation_tail(segments)
        start_s = lib.ffeature_float(first, b"end") if lib.ffeature_string(first, b"name") == b"pau" else 0.0
        at_end = lib.item_prev(last) if lib.ffeature_string(last, b"name") == b"pau" else last
        end_s = max(start_s, lib.ffeature_float(at_end, b"end") if at_end else 0.0)
        tokens = []
        previous_s = start_s
        item = lib.relation_head(lib.utt_relation(utterance, b"Token"))
        while item:
            token = self._token(item, previous_s)
            tokens.append(token)
            previous_s = token.end_s
            item = lib.item_next(item)
        return Timing(tuple(tokens), start_s, end_s)

    def _token(self, item: int, previous_s: float) -> Token:
        lib = self._lib
        end_byte = lib.item_feat_int(item, b"file_pos")
        start_s = end_s = previous_s
        heard = False
        word = lib.item_daughter(item)
        while word:
            word_end_s = lib.ffeature_float(word, _END_PATH)
            if word_end_s > 0:  # 0 stands for a word without segments
                start_s = start_s if heard else lib.ffeature_float(word, _START_PATH)
                end_s = word_end_s
                heard = True
            word = lib.item_next(word)
        return Token(end_byte, start_s, end_s)
