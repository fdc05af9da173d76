"""More tokens for a tokenizer that a model was trained with: byte-pair training that goes on where the parent stopped.

The corpus is encoded by the parent; then, again and again, the pair of neighbouring tokens that comes most often
within a word becomes one token: that is the one that saves most tokens. The new merges come after the parent's, so a
text is encoded as the parent does it and then merged further, every old id keeps its meaning, and old encodings are
decoded as before. `added` tokens are given as they are and found anywhere in a text.
"""

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from phoenix_assets.errors import ConfigError
from phoenix_assets.tokens.config import EXTENSION_FILE, ExtensionConfig
from phoenix_assets.tokens.encoding import load_encoder, load_tokenizer
from training_jobs.tokenizer_export import TOKENIZER_FILE, export_tokenizer, token_id, vocabulary_size

KERNEL_VERSION: Final = "1"

EXTENSION: Final = pl.Schema(
    {
        "id": pl.Int64(),
        "token": pl.String(),  # as the vocabulary spells it
        "text": pl.String(),
        "parts": pl.List(pl.Int64()),  # the parent's ids for it
    }
)

_UNBOUNDED: Final = 1 << 30  # context, where no checkpoint has one
_FIRST_CHARACTER: Final = 0x10000  # stands for id 0 in the trainer; above it there is no surrogate
_BREAK: Final = "\n"
_SPACE: Final = "▁"  # SentencePiece: begins a word
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")  # byte fallback: merged bytes would be spelt as text


@dataclass(frozen=True)
class Extension:
    """The extended tokenizer, and an EXTENSION row per new token, in the order of the ids."""

    tokenizer_json: bytes
    rows: pl.DataFrame


def extend_tokenizer(parent_json: Path | bytes, texts: Iterable[str], config: ExtensionConfig) -> Extension:
    """Return the parent with the tokens that `config` adds, chosen on `texts`. The same input gives the same bytes.

    Raises ConfigError when the parent is no byte-pair encoding, or has an added token already.
    """
    parent = load_tokenizer(parent_json)
    content = json.loads(parent.to_str())
    if content["model"]["type"] != "BPE":
        raise ConfigError(
            f"the parent's model is {content['model']['type']}: only byte-pair encodings (BPE) are extended"
        )
    parts: dict[str, list[int]] = {}
    for left, right in _merges(parent, texts, config) if config.tokens else []:
        token = _spelt(parent, left) + _spelt(parent, right)
        content["model"]["merges"].append([_spelt(parent, left), _spelt(parent, right)])
        if token not in content["model"]["vocab"]:
            content["model"]["vocab"][token] = vocabulary_size(parent) + len(parts)
            parts[token] = [*left, *right]
    for token in config.added:
        if parent.token_to_id(token) is not None or token in parts:
            raise ConfigError(f"added: {token!r} is in the parent's vocabulary; leave it out")
        parts[token] = parent.encode(token, add_special_tokens=False).ids
        content["added_tokens"].append(_added(token, vocabulary_size(parent) + len(parts) - 1))
    return Extension(json.dumps(content, ensure_ascii=False).encode("utf-8"), _rows(parent, parts))


def saved_tokens(texts: pl.Series, parent_json: Path | bytes, extended_json: bytes) -> dict[str, int]:
    """Return how many tokens the texts have by the parent and by the extended tokenizer."""
    return {
        name: int(load_encoder(content)(texts.to_list())[1].sum())
        for name, content in (("tokens_before", parent_json), ("tokens_after", extended_json))
    }


def write_extension(made: Extension, folder: Path, eod: str, checkpoint: Path | None) -> None:
    """Write the tokenizer as `transformers` loads it, the EXTENSION rows, and, if there is one, the grown checkpoint."""
    context = _UNBOUNDED
    if checkpoint is not None:
        from phoenix_assets.tokens.embeddings import extend_embeddings

        extend_embeddings(checkpoint, made.rows, folder)
        context = json.loads((checkpoint / "config.json").read_text("utf-8"))["max_position_embeddings"]
    made.rows.write_parquet(folder / EXTENSION_FILE, compression="zstd")
    eod_id = token_id(load_tokenizer(made.tokenizer_json), eod)
    with tempfile.TemporaryDirectory() as name:
        tokenizer = Path(name) / TOKENIZER_FILE
        tokenizer.write_bytes(made.tokenizer_json)
        export_tokenizer(tokenizer, eod_id, context, folder)


def _merges(
    parent: Tokenizer, texts: Iterable[str], config: ExtensionConfig
) -> list[tuple[list[int], list[int]]]:
    """Return the pairs to merge, each side as the parent's ids."""
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size(parent) + config.tokens,
        initial_alphabet=[_characters(np.array([number])) for number in range(vocabulary_size(parent))],
        min_frequency=config.min_frequency,
        show_progress=False,
    )
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Split(_BREAK, behavior="removed")
    breaks = _begins_a_word(parent)
    trained.train_from_iterator((_words(parent, text, breaks) for text in texts), trainer=trainer)
    merges: list[list[str]] = json.loads(trained.to_str())["model"]["merges"]
    return [(_ids(left), _ids(right)) for left, right in merges]


def _begins_a_word(parent: Tokenizer) -> npt.NDArray[np.bool_]:
    breaks = np.zeros(vocabulary_size(parent), dtype=np.bool_)
    for token, number in parent.get_vocab().items():
        breaks[number] = token.startswith(_SPACE) or bool(_BYTE.fullmatch(token))
    return breaks


def _words(parent: Tokenizer, text: str, breaks: npt.NDArray[np.bool_]) -> str:
    """Return the text as one character per token of the parent, words apart."""
    encoding = parent.encode(text, add_special_tokens=False)
    ids = np.array(encoding.ids, dtype=np.int64)
    words = np.array(encoding.word_ids, dtype=np.float64)  # none (NaN) for an added token: a word of its own
    starts = np.flatnonzero((words[1:] != words[:-1]) | breaks[ids[1:]]) + 1
    return _characters(np.insert(ids, starts, ord(_BREAK) - _FIRST_CHARACTER))


def _characters(ids: npt.NDArray[np.int64]) -> str:
    return (ids + _FIRST_CHARACTER).astype("<u4").tobytes().decode("utf-32-le")


def _ids(characters: str) -> list[int]:
    return [ord(character) - _FIRST_CHARACTER for character in characters]


def _spelt(parent: Tokenizer, ids: list[int]) -> str:
    return "".join(str(parent.id_to_token(number)) for number in ids)


def _added(token: str, number: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": number, "content": token, **flags}


def _rows(parent: Tokenizer, parts: dict[str, list[int]]) -> pl.DataFrame:
    first = vocabulary_size(parent)
    return pl.DataFrame(
        [
            (first + number, token, parent.decode(ids, skip_special_tokens=False), ids)
            for number, (token, ids) in enumerate(parts.items())
        ],
        schema=EXTENSION,
        orient="row",
    )
