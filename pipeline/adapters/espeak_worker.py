"""espeak-ng in a process of its own: a script that reads phrases from stdin and writes audio to stdout.

Run as ``python -I -S espeak_worker.py LIBRARY DATA_FOLDER``; standard library only, so that it is up in some 30 ms.
espeak-ng keeps its state in globals and crashes when two threads enter it, hence one process a worker and one thread
inside it; the other thread only reads, so that a phrase can be cancelled while it is being spoken.

Messages, both ways: ``!IcI`` = length of the payload, kind, phrase number; then the payload.

* to the worker: ``S`` speak, JSON ``{"text", "voice", "wpm"}``; ``C`` cancel, empty
* from the worker: ``R`` ready, sample rate as ``!I``; ``A`` audio, int16 little-endian; ``W`` a word begins, ``!II`` =
  0-based character in the text, sample from the phrase's start; ``E`` the phrase is over; ``X`` it failed, UTF-8 text

Source: espeak-ng ``speak_lib.h``.
"""

import ctypes
import json
import os
import queue
import struct
import sys
import threading
from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p
from typing import BinaryIO

HEADER = struct.Struct("!IcI")

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_BUFFER_MS = 60
_WORD_EVENT, _LIST_END = 1, 0
_POS_CHARACTER, _UTF8 = 1, 1
_RATE_PARAMETER = 1
_GO_ON, _STOP = 0, 1


class _Event(Structure):
    _fields_ = (
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", c_char * 8),
    )


_Callback = CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class Worker:
    """Speaks one phrase after the other in the main thread."""

    def __init__(self, library: str, data: str, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._jobs: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._number = 0
        self._lib = ctypes.CDLL(library)
        self._lib.espeak_Synth.argtypes = [
            c_char_p, c_size_t, c_uint, c_int, c_uint, c_uint, c_void_p, c_void_p,
        ]  # fmt: skip
        self._callback = _Callback(self._on_audio)
        self.rate_hz = self._lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), 0)
        if self.rate_hz <= 0:
            raise RuntimeError("espeak-ng did not start")
        self._lib.espeak_SetSynthCallback(self._callback)

    def run(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        self._send(b"R", 0, struct.pack("!I", self.rate_hz))
        while (job := self._jobs.get()) is not None:
            self._number, payload = job
            if self._number not in self._cancelled:
                try:
                    self._speak(**json.loads(payload))
                    self._send(b"E", self._number)
                except Exception as error:
                    self._send(b"X", self._number, str(error).encode())
            self._cancelled.discard(self._number)

    def _speak(self, text: str, voice: str, wpm: int) -> None:
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"no such voice: {voice}")
        self._lib.espeak_SetParameter(_RATE_PARAMETER, wpm, 0)
        data = text.encode() + b"\0"
        code = self._lib.espeak_Synth(data, len(data), 0, _POS_CHARACTER, 0, _UTF8, None, None)
        if code != 0:
            raise RuntimeError(f"espeak_Synth gave {code}")

    def _on_audio(self, wav: "ctypes._Pointer[c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        index = 0
        while (event := events[index]).type != _LIST_END:
            if event.type == _WORD_EVENT:
                place = struct.pack("!II", max(0, event.text_position - 1), max(0, event.sample))
                self._send(b"W", self._number, place)
            index += 1
        if count and wav:
            self._send(b"A", self._number, ctypes.string_at(wav, 2 * count))
        return _STOP if self._number in self._cancelled else _GO_ON

    def _send(self, kind: bytes, number: int, payload: bytes = b"") -> None:
        self._sink.write(HEADER.pack(len(payload), kind, number) + payload)
        self._sink.flush()

    def _read(self) -> None:
        while len(header := self._source.read(HEADER.size)) == HEADER.size:
            length, kind, number = HEADER.unpack(header)
            payload = self._source.read(length)
            if kind == b"S":
                self._jobs.put((number, payload))
            elif number >= self._number:  # numbers rise; an older one is over
                self._cancelled.add(number)
        os._exit(0)  # the owner is gone; a phrase may be half spoken


if __name__ == "__main__":
    Worker(sys.argv[1], sys.argv[2], sys.stdin.buffer, sys.stdout.buffer).run()
