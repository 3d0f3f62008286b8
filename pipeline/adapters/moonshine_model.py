"""Moonshine tiny-en run directly by onnxruntime: weights, token table and greedy decoding. Blocking and thread-safe.

The weights lie in the wheel ``moonshine-voice``; its own native library is not thread-safe and is never imported. The
shipped encoder works on the raw waveform (no mel front end). The decoder is built anew out of the shipped one's
weights, so that a draft of the text can be checked in one pass without changing the answer (``moonshine_graph``).
Architecture: Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands", 2024.

Greedy decoding with a draft: a pass takes the last token and those that are guessed to follow, and gives what really
follows each. Guesses are right up to the first that is not what followed; that one is replaced, and decoding goes on
behind it. A right draft costs one pass instead of one a word, a wrong one costs its share of a pass.
"""

import importlib.util
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from pipeline.adapters.moonshine_decoder import MoonshineDecoder, Segment
from voicegate.kernel.errors import ConfigError

_START, _END, _LAST_BYTE = 1, 2, 258
_MAX_LOOP_TOKENS = 16
# People do say "no, no, no" and dictate "0000". While decoding only a long row is a loop; in a text that ran into its
# bound three rounds of a phrase are enough. Key 0: every size not named.
_RUNNING_LOOP = {0: 5, 1: 24, 2: 12, 3: 8, 4: 6}
_FINISHED_LOOP = {0: 3, 1: 8, 2: 6, 3: 4}
_REALIGN_WITHIN = 6
_WORD_START = "▁".encode()

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What greedy decoding made of one segment."""

    text: str
    tokens: tuple[int, ...]
    """All that were decoded, the end token included: a draft for a longer segment with the same start."""
    log_probabilities: tuple[float, ...]
    """One a decoded token, the end token included."""
    end_probability: float
    """Probability, right after the last word, of sentence-final punctuation or of the end of the text."""
    complete: bool
    """The decoder ended by itself; False: it ran into the bound, was stopped, or repeated itself."""
    repeats_only: bool
    """It never said anything but the same few tokens over and over."""
    passes: int = field(default=0, compare=False)
    """Passes of the decoder that it took: at most one a token, a single one where a draft was right to the end."""


def weights_folder() -> Path:
    """Where the installed wheel keeps tiny-en. Finds the package without importing it.

    Raises:
        ConfigError: the wheel is missing or has no weights inside.
    """
    spec = importlib.util.find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise ConfigError("Moonshine needs the package moonshine-voice==0.1.0, which is not installed")
    return Path(spec.origin).parent / "assets" / "tiny-en"


def read_tokens(data: bytes) -> list[bytes]:
    """The token table of ``tokenizer.bin``: every token is its length, then its UTF-8 bytes.

    A length below 128 is one byte; a longer one is two, low seven bits first with the top bit set.
    """
    tokens: list[bytes] = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            length += 128 * (data[at] - 1)
            at += 1
        tokens.append(data[at : at + length])
        at += length
    return tokens


def _loop_start(ids: list[int], rounds: dict[int, int]) -> int | None:
    """Where the second round of a repetition at the end of ``ids`` begins; ``rounds``: how many make one, by size."""
    for size in range(1, min(_MAX_LOOP_TOKENS, len(ids) // 2) + 1):
        need = size * rounds.get(size, rounds[0])
        if len(ids) >= need and all(ids[-i] == ids[-i - size] for i in range(1, need - size + 1)):
            start = len(ids) - need
            while start > 0 and ids[start - 1] == ids[start - 1 + size]:
                start -= 1
            return start + size
    return None


@dataclass(slots=True)
class _Row:
    """Tokens decoded so far."""

    bound: int
    ids: list[int] = field(default_factory=list)
    chosen: list[float] = field(default_factory=list)
    """Log-probability of each."""
    ends: list[float] = field(default_factory=list)
    """Probability that the sentence ended there instead."""
    ended: bool = False
    passes: int = 0


def _realigned(rest: list[int], token: int, *, trusted: bool) -> list[int]:
    """What of a draft may still come after ``token`` took the place of its first one.

    Where the token comes up a little later in the draft, words fell out of it; otherwise one word was changed. A draft
    that was wrong from its very beginning is trusted only in the first case.
    """
    near = rest[1:_REALIGN_WITHIN]
    if token in near:
        return rest[near.index(token) + 2 :]
    return rest[1:] if trusted else []


class MoonshineModel:
    """The two graphs and the token table. Loading takes a few hundred milliseconds; several threads may decode."""

    def __init__(self, folder: Path, *, intra_op_threads: int = 1) -> None:
        missing = [
            n for n in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin") if not (folder / n).is_file()
        ]
        if missing:
            raise ConfigError(
                f"Moonshine weights: {folder} lacks {', '.join(missing)}; moonshine-voice==0.1.0 has them"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A spinning thread pool would burn the core that the event loop needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._encoder = onnxruntime.InferenceSession(
            str(folder / "encoder_model.ort"), options, providers=["CPUExecutionProvider"]
        )
        self._decoder = MoonshineDecoder(folder / "decoder_model_merged.ort", options)
        self._tokens = read_tokens((folder / "tokenizer.bin").read_bytes())

    @cached_property
    def _final_ids(self) -> list[int]:
        # Byte fallback has entries of the same bytes further up; the pieces that the model uses come later.
        return [i for i, token in enumerate(self._tokens) if i > _LAST_BYTE and token in (b".", b"?", b"!")]

    @cached_property
    def _punctuation_ids(self) -> frozenset[int]:
        return frozenset(i for i, token in enumerate(self._tokens) if i > _END and token.strip(b".,?!;:-") == b"")

    @cached_property
    def _full_stop(self) -> int:
        return next(i for i in self._final_ids if self._tokens[i] == b".")

    def decode(
        self,
        samples: FloatArray,
        *,
        max_tokens: int,
        stop: threading.Event,
        draft: Sequence[int] = (),
        options: onnxruntime.RunOptions | None = None,
    ) -> Decoded:
        """Transcribe mono float32 in -1..1 at 16 kHz, at least 0.1 s, greedily; ``stop`` ends it between two passes.

        ``draft`` is what may come out, such as the tokens of a shorter segment with the same start. It makes decoding
        faster where it is right and changes nothing else, to the last bit. ``options`` are those of every run of a
        graph: they can end one in its middle, which raises.
        """
        audio = samples[np.newaxis]
        mask = np.ones(audio.shape, np.int64)
        hidden = self._encoder.run(None, {"input_values": audio, "attention_mask": mask}, options)[0][0]
        segment = self._decoder.begin(hidden, max_tokens + 1, options)
        row = _Row(max_tokens)
        guesses = self._usable(draft)
        while len(row.ids) < max_tokens and not row.ended and not stop.is_set():
            guesses = self._pass(segment, row, guesses or [self._full_stop])
        return replace(self._decoded(row.ids, row.chosen, row.ends), passes=row.passes)

    def _usable(self, draft: Sequence[int]) -> list[int]:
        """The draft's tokens up to its end, which is never fed; none at all where they are another engine's."""
        words = list(draft[: draft.index(_END)] if _END in draft else draft)
        return words if all(_END < token < len(self._tokens) for token in words) else []

    def _pass(self, segment: Segment, row: "_Row", guesses: list[int]) -> list[int]:
        """One pass of the decoder over the last token and the guesses behind it; what to guess next."""
        start = len(row.ids)
        row.passes += 1
        guesses = guesses[: row.bound - start]
        logits = self._decoder.advance(segment, [row.ids[-1] if row.ids else _START, *guesses], start)
        for index, scores in enumerate(logits):
            token = self._take(row, scores)
            if row.ended or index == len(guesses):
                return []
            if token != guesses[index]:
                return _realigned(guesses[index:], token, trusted=index > 0)
        return []

    def _take(self, row: "_Row", logits: FloatArray) -> int:
        """The likeliest token behind the row, added to it; ``logits``: float32 (32768,)."""
        token = int(logits.argmax())
        peak = float(logits[token])
        whole = peak + float(np.log(np.exp(logits - np.float32(peak)).sum()))
        row.ids.append(token)
        row.chosen.append(peak - whole)
        row.ends.append(float(np.exp(logits[[_END, *self._final_ids]] - np.float32(whole)).sum()))
        row.ended = token == _END or len(row.ids) == row.bound or _loop_start(row.ids, _RUNNING_LOOP) is not None
        return token

    def _decoded(self, ids: list[int], chosen: list[float], ends: list[float]) -> Decoded:
        complete = bool(ids) and ids[-1] == _END
        loop = _loop_start(ids, _FINISHED_LOOP) if not complete else None
        kept = ids[:loop] if loop is not None else ids
        last_word = len(kept)
        while last_word and (kept[last_word - 1] == _END or kept[last_word - 1] in self._punctuation_ids):
            last_word -= 1
        return Decoded(
            text=self._text(kept),
            tokens=tuple(ids),
            log_probabilities=tuple(chosen),
            end_probability=min(1.0, ends[last_word]) if complete else 0.0,
            complete=complete,
            repeats_only=loop is not None and loop <= _MAX_LOOP_TOKENS and ids[:loop] == ids[loop : 2 * loop],
        )

    def _text(self, ids: list[int]) -> str:
        """Tokens 3 to 258 are single bytes (byte fallback), so bytes are joined before they become text."""
        data = b"".join(self._tokens[i] for i in ids if i > _END)
        return data.replace(_WORD_START, b" ").decode("utf-8", "replace").strip()
