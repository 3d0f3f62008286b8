"""A Whisper of one layer with random weights in a folder: it loads and runs like a real one and says nonsense."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import WhisperSpec
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece
from tokenizers.models import WordLevel

_WIDTH, _HEADS, _MELS = 64, 2, 80
_SPECIALS = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def write_tiny_whisper(folder: Path, *, seed: int = 1) -> None:
    """Weights, configuration, vocabulary and tokenizer, as a converter would leave them. About 2 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"w{i}" for i in range(100)]
    timestamps = [f"<|{i * 0.02:.2f}|>" for i in range(1501)]
    vocabulary = ["<unk>", *words, *_SPECIALS, *timestamps]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.decoder = WordPiece()
    tokenizer.add_special_tokens([*_SPECIALS, *timestamps])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": _MELS}))
    spec = WhisperSpec(1, _HEADS, 1, _HEADS)
    _fill(spec, np.random.default_rng(seed), len(vocabulary))
    spec.config.lang_ids = []
    spec.config.suppress_ids = [0]
    spec.config.suppress_ids_begin = [vocabulary.index("<|endoftext|>")]
    spec.config.alignment_heads = [[0, 0]]
    spec.register_vocabulary(vocabulary)
    spec.validate()
    spec.save(str(folder))


def _fill(spec: Any, rng: np.random.Generator, vocabulary_size: int) -> None:
    def some(*shape: int) -> Any:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    def linear(layer: Any, outputs: int, inputs: int) -> None:
        layer.weight, layer.bias = some(outputs, inputs), some(outputs)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)

    def attention(layer: Any, *, own: bool) -> None:
        norm(layer.layer_norm)
        if own:
            linear(layer.linear[0], 3 * _WIDTH, _WIDTH)
            linear(layer.linear[1], _WIDTH, _WIDTH)
        else:
            linear(layer.linear[0], _WIDTH, _WIDTH)
            linear(layer.linear[1], 2 * _WIDTH, _WIDTH)
            linear(layer.linear[2], _WIDTH, _WIDTH)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * _WIDTH, _WIDTH)
        linear(layer.linear_1, _WIDTH, 4 * _WIDTH)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = some(_WIDTH, _MELS, 3), some(_WIDTH)
    encoder.conv2.weight, encoder.conv2.bias = some(_WIDTH, _WIDTH, 3), some(_WIDTH)
    encoder.position_encodings.encodings = some(1500, _WIDTH)
    decoder.position_encodings.encodings = some(448, _WIDTH)
    decoder.embeddings.weight = some(vocabulary_size, _WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    attention(encoder.layer[0].self_attention, own=True)
    feed_forward(encoder.layer[0].ffn)
    attention(decoder.layer[0].self_attention, own=True)
    attention(decoder.layer[0].attention, own=False)
    feed_forward(decoder.layer[0].ffn)
