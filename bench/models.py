"""The models that the funnel is measured with: the lake's when it has them, else made here from the rest of the text."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from bench.documents import read_texts
from phoenix_assets.clean.config import KenlmConfig, LidConfig
from phoenix_assets.clean.kenlm_training import find_builder, train
from phoenix_assets.clean.language import fetch_lid
from phoenix_assets.clean.perplexity import sentences
from phoenix_assets.config import config_dir, load
from phoenix_assets.tokens.bpe import train_bpe
from phoenix_assets.tokens.config import TokenizerConfig
from resources.lake import Lake


def language_identification(home: Path) -> Path:
    """Return the fastText model: the lake's, or the one in the cache, fetched on first use."""
    stored = _newest(home, "models/lid", "lid.ftz")
    return stored or fetch_lid(home / "cache" / "models", load(LidConfig, config_dir() / "lid.yaml"))


def perplexity_models(home: Path, reference: Path, languages: Sequence[str], folder: Path) -> dict[str, Path]:
    """Return a KenLM model for each language: the lake's, or one trained on the documents in `reference`."""
    config = load(KenlmConfig, config_dir() / "kenlm.yaml")
    paths = {}
    for lang in languages:
        stored = _newest(home, f"models/kenlm_{lang}", f"{lang}.binary")
        if stored is None:
            builder = find_builder()
            lines = sentences(pl.Series(read_texts(str(reference), lang)), lang)
            stored = folder / f"{lang}.kenlm"
            train(lines.to_list(), stored, config, builder.lmplz, builder.build_binary)
        paths[lang] = stored
    return paths


def tokenizer(home: Path, reference: Path, languages: Sequence[str], folder: Path) -> tuple[Path, str]:
    """Return the tokenizer, the lake's or one trained on the documents in `reference`, and its end of document."""
    config = load(TokenizerConfig, config_dir() / "tokenizer.yaml")
    path = _newest(home, "models/tokenizer", "tokenizer.json")
    if path is None:
        path = folder / "tokenizer.json"
        texts = (text for lang in languages for text in read_texts(str(reference), lang))
        path.write_bytes(train_bpe(texts, config))
    return path, config.eod


def _newest(home: Path, asset: str, name: str) -> Path | None:
    lake = Lake(home)
    records = list(lake.records(asset))
    return lake.stored_file(records[-1].as_input(), name) if records else None
