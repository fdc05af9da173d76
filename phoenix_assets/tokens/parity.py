"""Parity: every way in which a tokenizer is loaded must encode every text alike.

A tokenizer is loaded by the reference (`tokenizers`) and by `fastokens` to make token shards; by `transformers`' fast
class and `AutoTokenizer` from the folder that a checkpoint carries; and, where somebody else made it, by
`sentencepiece` and by `AutoTokenizer` from what was delivered. A class that only fits nearly (another normaliser, a
dummy prefix, digits) shows nowhere but in odd strings: a model then meets tokens that it was not trained on.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import xxhash

from phoenix_assets.tokens.config import EncoderKind
from phoenix_assets.tokens.delivered import SENTENCEPIECE_FILE, SOURCE
from phoenix_assets.tokens.encoding import Encoder, load_encoder, load_tokenizer
from training_jobs.tokenizer_export import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, export_tokenizer, token_id

KERNEL_VERSION: Final = "1"

DIFFERENCES: Final = pl.Schema(
    {
        "loader": pl.String,
        "texts": pl.Int64,  # that it encodes otherwise than the reference
        "text": pl.String,  # one of them, as a Python literal
        "reference": pl.String,  # its ids
        "found": pl.String,
    }
)

REFERENCE: Final = "tokenizers"
Encode = Callable[[list[str]], list[list[int]]]

_CONTEXT: Final = 1 << 30  # of the exported folder: nothing is cut


@dataclass(frozen=True)
class Loaded:
    """The ways that could be loaded, the reference first, and why others could not."""

    encoders: Mapping[str, Encode]
    failed: Mapping[str, str]


def load_every_way(folder: Path, eod: str) -> Loaded:
    """Load the tokenizer in `folder` (`tokenizer.json`, and `source/` where it was delivered) in every way there is."""
    content = (folder / TOKENIZER_FILE).read_bytes()
    ways: dict[str, Callable[[], Encode]] = {
        REFERENCE: partial(_flat, content, EncoderKind.REFERENCE),
        "fastokens": partial(_flat, content, EncoderKind.FAST),
        "transformers fast class": partial(_exported, folder, eod, "PreTrainedTokenizerFast"),
        "AutoTokenizer": partial(_exported, folder, eod, "AutoTokenizer"),
    }
    if (folder / SOURCE / SENTENCEPIECE_FILE).exists():
        ways["sentencepiece"] = partial(_sentencepiece, folder / SOURCE / SENTENCEPIECE_FILE)
    if (folder / SOURCE / TOKENIZER_CONFIG_FILE).exists():
        ways["AutoTokenizer, as delivered"] = partial(_of_transformers, folder / SOURCE, "AutoTokenizer")
    encoders: dict[str, Encode] = {}
    failed: dict[str, str] = {}
    for name, load in ways.items():
        try:
            encoders[name] = load()
        except (OSError, ValueError, TypeError, ImportError, AttributeError) as error:
            failed[name] = str(error)
    return Loaded(encoders, failed)


def differences(texts: Sequence[str], encoders: Mapping[str, Encode], shown: int) -> pl.DataFrame:
    """Return DIFFERENCES rows: for each loader the first `shown` texts that it encodes otherwise than the reference."""
    given = list(texts)
    expected = encoders[REFERENCE](given)
    rows: list[tuple[str, int, str, str, str]] = []
    for name, encode in encoders.items():
        found = encode(given)
        other = [number for number, ids in enumerate(found) if list(ids) != list(expected[number])]
        rows += [
            (name, len(other), repr(given[number]), str(expected[number]), str(found[number]))
            for number in other[:shown]
        ]
    return pl.DataFrame(rows, schema=DIFFERENCES, orient="row")


def compared_texts(folder: Path, odd: Iterable[str], texts: pl.Series, lines: int) -> list[str]:
    """Return what is encoded by all: odd strings, names of the tokenizer's own special tokens, lines of the texts."""
    added = load_tokenizer(folder / TOKENIZER_FILE).get_added_tokens_decoder().values()
    names = sorted(token.content for token in added)
    inside = [text for name in names for text in (name, f"a{name}b", f" {name} {name}")]
    return [*odd, *inside, *_drawn_lines(texts, lines)]


def _drawn_lines(texts: pl.Series, count: int) -> list[str]:
    """Return `count` different lines of the texts, drawn by their hash."""
    lines = texts.str.split("\n").explode().drop_nulls().unique()
    lines = lines.filter(lines.str.len_bytes() > 0)
    drawn = pl.Series("drawn", [xxhash.xxh3_64_intdigest(line.encode()) for line in lines], dtype=pl.UInt64)
    table = pl.DataFrame([lines.alias("line"), drawn])
    return table.sort("drawn", "line").head(count)["line"].to_list()


def _flat(content: bytes, kind: EncoderKind) -> Encode:
    encoder: Encoder = load_encoder(content, kind)

    def encode(texts: list[str]) -> list[list[int]]:
        ids, lengths = encoder(texts)
        return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]

    return encode


def _exported(folder: Path, eod: str, name: str) -> Encode:
    eod_id = token_id(load_tokenizer(folder / TOKENIZER_FILE), eod)
    with tempfile.TemporaryDirectory() as exported:
        export_tokenizer(folder / TOKENIZER_FILE, eod_id, _CONTEXT, Path(exported))
        return _of_transformers(Path(exported), name)


def _of_transformers(folder: Path, name: str) -> Encode:
    import transformers

    tokenizer = getattr(transformers, name).from_pretrained(folder, local_files_only=True)

    def encode(texts: list[str]) -> list[list[int]]:
        encoded: Any = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return list(encoded["input_ids"])

    return encode


def _sentencepiece(model: Path) -> Encode:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(model))
    return lambda texts: list(processor.encode(texts))
