"""The quality classifier: a linear fastText model that tells good sources from crawl, as a score in [0, 1].

Chinese has no spaces, so every Han, kana or other ideographic character becomes a token of its own and
n-grams of them stand in for words. Against a word segmenter this needs no dictionary (one more thing that
scores would depend on), is decided by the character and not by the document's language, and runs as one
regular expression. Letters are lower-cased, digits become 0, and only the start of a document is read. The
same texts give the same model bytes in any order: examples are sorted by hash and fastText runs with one
thread.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import fasttext
import numpy as np
import polars as pl
import xxhash

from phoenix_assets import draw
from phoenix_assets.errors import ConfigError
from phoenix_assets.tag.config import QualityConfig

KERNEL_VERSION: Final = "1"

_POSITIVE: Final = "good"
_NEGATIVE: Final = "crawl"
_LABEL_PREFIX: Final = "__label__"
_STANDS_ALONE: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{P}\p{S}]"  # ideographs, kana, punctuation
_BATCH: Final = 4096  # documents that one call into fastText scores


@dataclass(frozen=True)
class QualityReport:
    """How a classifier was trained and how well it separates texts that it has not seen."""

    positives: int  # documents, training and held-out
    negatives: int
    heldout: int
    accuracy: float  # on held-out documents, at a score of 0.5
    auc: float  # chance that a positive document scores above a negative one
    model_bytes: int
    sha256: str


def sample_training(documents: pl.DataFrame, config: QualityConfig) -> tuple[pl.Series, pl.Series]:
    """Return (positives, negatives): as many texts of each class in each of the config's languages.

    `documents` has doc_id, source, lang and text. Equal numbers in a language keep the classifier from
    learning the language instead of the quality; documents are taken in the order of their hash. Raises
    ConfigError when no language has documents of both classes.
    """
    side = (
        pl.when(pl.col("source").is_in(config.positive))
        .then(pl.lit(_POSITIVE))
        .when(pl.col("source").is_in(config.negative))
        .then(pl.lit(_NEGATIVE))
    )
    sampled = (
        documents.select(
            "doc_id",
            "text",
            "lang",
            side=side,
            u=draw.uniform(documents["doc_id"], salt="quality", seed=config.seed),
        )
        .filter(pl.col("side").is_not_null() & pl.col("lang").is_in(config.languages))
        .sort("u", "doc_id")
        .with_columns(rank=pl.int_range(pl.len()).over("side", "lang"))
    )
    sizes = sampled.group_by("lang", "side").len().group_by("lang").agg(pl.col("len").min(), sides=pl.len())
    quota = sizes.filter(pl.col("sides") == 2).select(
        "lang", quota=pl.col("len").clip(upper_bound=config.documents_per_class)
    )
    if quota.is_empty():
        raise ConfigError(
            f"no language of {list(config.languages)} has documents both of {list(config.positive)} and of"
            f" {list(config.negative)}; take in such deliveries or change quality.positive and .negative"
        )
    chosen = sampled.join(quota, on="lang", maintain_order="left").filter(pl.col("rank") < pl.col("quota"))
    return chosen.filter(side=_POSITIVE)["text"], chosen.filter(side=_NEGATIVE)["text"]


def train_quality(
    positives: pl.Series, negatives: pl.Series, config: QualityConfig, out: Path
) -> QualityReport:
    """Train on texts of the two classes, write the model to `out` and report on the held-out part.

    Raises ConfigError when a class has too few texts for both parts. The held-out part is chosen by text
    hash, so copies of a text never stand on both sides.
    """
    examples = pl.concat([_examples(positives, _POSITIVE, config), _examples(negatives, _NEGATIVE, config)])
    heldout = examples["u"] < config.heldout_fraction
    training, unseen = (
        examples.filter(~heldout).sort("u", "label"),
        examples.filter(heldout).sort("u", "label"),
    )
    for part, name in ((training, "training"), (unseen, "held-out")):
        if part["label"].n_unique() < 2:
            raise ConfigError(
                f"the {name} part holds texts of {part['label'].unique().to_list()} only, of"
                f" {len(positives)} positive and {len(negatives)} negative ones;"
                " give more documents or another heldout_fraction"
            )
    model = _train(training, config)
    out.parent.mkdir(parents=True, exist_ok=True)
    model.save_model(str(out))
    scores = _score_lines(unseen["line"], model)
    positive = (unseen["label"] == _POSITIVE).to_numpy()
    content = out.read_bytes()
    return QualityReport(
        positives=len(positives),
        negatives=len(negatives),
        heldout=unseen.height,
        accuracy=float(((scores >= 0.5) == positive).mean()),
        auc=_auc(scores, positive),
        model_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def score_quality(texts: pl.Series, langs: pl.Series, model: Path, config: QualityConfig) -> pl.Series:
    """Return `quality`, Float64 in [0, 1]: the probability that a text is like the good sources.

    It is null where `langs` is not one of the config's languages: the classifier has learned nothing about
    them.
    """
    frame = pl.DataFrame({"text": texts, "known": langs.is_in(list(config.languages)).fill_null(False)})
    known = frame.with_row_index("row").filter("known")
    scores = _score_lines(_lines(known["text"], config.max_chars), _loaded(model, model.stat().st_mtime_ns))
    scored = pl.DataFrame({"row": known["row"], "quality": scores}, schema_overrides={"quality": pl.Float64})
    return frame.with_row_index("row").join(scored, on="row", how="left", maintain_order="left")["quality"]


def _examples(texts: pl.Series, label: str, config: QualityConfig) -> pl.DataFrame:
    lines = _lines(texts, config.max_chars)
    numbers = [xxhash.xxh3_64_intdigest(line.encode("utf-8"), seed=config.seed) for line in lines]
    u = (np.array(numbers, dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return pl.DataFrame(
        {"line": lines, "label": [label] * len(lines), "u": u},
        schema={"line": pl.String, "label": pl.String, "u": pl.Float64},
    )


def _lines(texts: pl.Series, max_chars: int) -> pl.Series:
    """Return one line of space-separated tokens per text, as fastText reads them."""
    return pl.select(
        line=pl.lit(texts.fill_null(""))
        .str.slice(0, max_chars)
        .str.to_lowercase()
        .str.replace_all(r"[\x00\s]+", " ")
        .str.replace_all(r"\p{N}", "0")
        .str.replace_all(_STANDS_ALONE, " ${0} ")
    ).to_series()


def _train(examples: pl.DataFrame, config: QualityConfig) -> Any:
    settings = config.fasttext
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "examples.txt"
        lines = examples.select(
            pl.concat_str(pl.lit(_LABEL_PREFIX), "label", pl.lit(" "), "line")
        ).to_series()
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return fasttext.train_supervised(
            str(path),
            dim=settings.dim,
            epoch=settings.epoch,
            lr=settings.lr,
            wordNgrams=settings.word_ngrams,
            minCount=settings.min_count,
            bucket=settings.bucket,
            seed=config.seed,
            thread=1,
            verbose=0,
        )


@lru_cache(maxsize=2)
def _loaded(model: Path, _changed: int) -> Any:
    """Load a model once per process; a file that was written anew is loaded anew."""
    return fasttext.load_model(str(model))


def _score_lines(lines: pl.Series, model: Any) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    scores = np.empty(len(lines), dtype=np.float64)
    good = _LABEL_PREFIX + _POSITIVE
    for start in range(0, len(lines), _BATCH):
        labels, chances = model.predict(lines[start : start + _BATCH].to_list(), k=1)
        first = np.fromiter((chance[0] for chance in chances), dtype=np.float64, count=len(labels))
        is_good = np.fromiter((label[0] == good for label in labels), dtype=np.bool_, count=len(labels))
        scores[start : start + _BATCH] = np.where(is_good, first, 1.0 - first)
    return scores.clip(0.0, 1.0)


def _auc(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], positive: np.ndarray[Any, np.dtype[np.bool_]]
) -> float:
    """Return the area under the ROC curve from rank sums (Mann–Whitney), ties counted half."""
    ranks = pl.Series(scores).rank("average").to_numpy()
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))
