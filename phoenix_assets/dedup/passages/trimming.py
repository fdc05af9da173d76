"""The passage stages as kernels: prints of passages, decisions on them, and the documents without what was seen before.

Each level looks at what the one before has left: boilerplate goes first, then paragraphs, then sentences. A text is cut
again wherever it is needed, by the same rules, so that only decisions are stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.config import QualityConfig
from phoenix_assets.dedup.passages.config import Passage, PassageRules
from phoenix_assets.dedup.passages.cutting import compared_passages, without_boilerplate
from phoenix_assets.dedup.passages.joining import without
from phoenix_assets.dedup.passages.prints import document_prints
from phoenix_assets.errors import LineageError
from phoenix_assets.schema import KEPT, Stage, StageOutput, ledger_rows

KERNEL_VERSION: Final = "1"

PASSAGE_PRINTS: Final = pl.Schema(
    {
        "source": pl.String(),
        "delivery": pl.String(),
        "doc_id": pl.String(),
        "lang": pl.String(),
        "received": pl.Date(),
        "quality": pl.Float64(),  # higher is better, null when unknown
        "prints": pl.Binary(),  # of the document and of its passages that are compared (see `prints`)
    }
)
PASSAGE_DECISION: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "source": pl.String(),
        "delivery": pl.String(),
        "kept": pl.Boolean(),
        "duplicate_of": pl.String(),  # the document that has most of it, null when kept
        "similarity": pl.Float64(),  # share of its letters in duplicated passages
        "granularity": pl.String(),
        "number": pl.Int64(),  # of the document in the index
        "passages": pl.Int32(),  # that were compared
        "duplicated": pl.List(pl.Int32()),  # which of them are duplicates, from 0
        "holder": pl.List(pl.String()),  # doc_id of the document that has each; its own for what it repeats
        "holder_source": pl.List(pl.String()),  # where that document is
        "holder_delivery": pl.List(pl.String()),
        "behind": pl.List(pl.Int64()),  # number of what each stands behind in the index
    }
)
NO_DECISIONS: Final = pl.DataFrame(schema=PASSAGE_DECISION)
BOILERPLATE: Final = "boilerplate"
SHARE: Final = "paragraph_share"  # the rule by which a document goes


@dataclass(frozen=True)
class Trimmed:
    """What is left of texts, a row each."""

    text: pl.Series
    fate: pl.DataFrame  # reason, duplicate_of, share; and the characters that each level removed, by its name


def passage_rows(
    documents: pl.DataFrame,
    decisions: pl.DataFrame = NO_DECISIONS,
    *,
    passage: Passage,
    received: date,
    rules: PassageRules,
    quality: QualityConfig,
) -> StageOutput:
    """Return PASSAGE_PRINTS rows of documents (source, delivery, doc_id, lang, text, and the column of the quality).

    `decisions` are PASSAGE_DECISION rows of the levels before; a document that they drop has no row.
    """
    trimmed = trim(documents, decisions, passage.before, rules)
    stays = trimmed.fate["reason"] == KEPT
    left = documents.filter(stays)
    passages, compared = compared_passages(trimmed.text.filter(stays), passage, rules)
    worth = pl.col(quality.column).cast(pl.Float64).fill_nan(None)
    rows = left.with_columns(
        document_prints(passages, compared, left["lang"] if rules.by_language else None),
        received=pl.lit(received, pl.Date),
        quality=-worth if quality.better == "lower" else worth,
    )
    return StageOutput(rows.select(PASSAGE_PRINTS.names()))


def passage_decision_rows(
    decided: pl.DataFrame, passage: Passage, deliveries: Sequence[tuple[str, str]], number: int
) -> pl.DataFrame:
    """Return PASSAGE_DECISION rows for an index's DECIDED rows of one delivery: the one with this number of `deliveries`."""
    source, delivery = deliveries[number]
    sources, names = (
        pl.lit(pl.Series(list(column), dtype=pl.String)) for column in zip(*deliveries, strict=True)
    )
    return decided.with_columns(
        source=pl.lit(source),
        delivery=pl.lit(delivery),
        granularity=pl.lit(passage.value),
        holder_source=pl.col("holder_delivery").list.eval(sources.gather(pl.element())),
        holder_delivery=pl.col("holder_delivery").list.eval(names.gather(pl.element())),
    ).select(pl.col(name).cast(dtype) for name, dtype in PASSAGE_DECISION.items())


def drop_passages(documents: pl.DataFrame, decisions: pl.DataFrame, rules: PassageRules) -> StageOutput:
    """Return documents without boilerplate and without the passages that the indexes decided to be duplicates.

    The ledger has what each level removed; a document that goes names in it the one that has most of it. Raises
    LineageError when a document was not decided on, or cut otherwise than it is now.
    """
    trimmed = trim(documents, decisions, tuple(Passage), rules)
    fate = trimmed.fate
    stays = fate["reason"] == KEPT
    removed = [BOILERPLATE, *(passage.value for passage in Passage)]
    within = fate["share"].fill_null(0.0) <= rules.max_share(Passage.PARAGRAPH)
    ledger = ledger_rows(
        documents,
        Stage.TRIMMED,
        kept=stays,
        drop_reason=fate["reason"],
        rules_name=pl.lit([SHARE, *(f"{name}_characters" for name in removed)], pl.List(pl.String)),
        rules_value=fate.select(
            pl.concat_list("share", *(pl.col(name).cast(pl.Float64) for name in removed))
        ).to_series(),
        rules_cond=pl.select(pl.concat_list(within, *(pl.lit(True) for _ in removed))).to_series(),
        duplicate_of=fate["duplicate_of"],
        chars_out=trimmed.text.str.len_chars().cast(pl.Int64) * stays,
    )
    counts = {f"{name}_characters": int(fate[name].filter(stays).sum()) for name in removed}
    left = documents.with_columns(trimmed.text.alias("text")).filter(stays)
    return StageOutput(left, ledger, counts=counts)


def trim(
    documents: pl.DataFrame, decisions: pl.DataFrame, levels: Sequence[Passage], rules: PassageRules
) -> Trimmed:
    """Return what boilerplate and these levels of decisions leave of documents (doc_id, text)."""
    text = without_boilerplate(documents["text"], rules)
    fate = documents.select(
        reason=pl.lit(KEPT),
        duplicate_of=pl.lit(None, pl.String),
        share=pl.lit(None, pl.Float64),
        boilerplate=pl.col("text").str.len_chars() - text.str.len_chars(),
    )
    trimmed = _emptied(Trimmed(text, fate), BOILERPLATE)
    for passage in levels:
        verdicts = _verdicts(documents["doc_id"], trimmed, decisions, passage)
        trimmed = _without(trimmed, verdicts, passage, rules)
        trimmed = _emptied(trimmed, passage.reason, verdicts["holder"].list.first())
    return trimmed


def _verdicts(
    doc_ids: pl.Series, trimmed: Trimmed, decisions: pl.DataFrame, passage: Passage
) -> pl.DataFrame:
    """Return a level's decision on each document; on one that is not there any more, null."""
    verdicts = doc_ids.to_frame().join(
        decisions.filter(pl.col("granularity") == passage.value),
        on="doc_id",
        how="left",
        maintain_order="left",
    )
    missing = verdicts.filter((trimmed.fate["reason"] == KEPT) & pl.Series(verdicts["kept"].is_null())).height
    if missing:
        raise LineageError(
            f"the index of {passage.value} has not seen {missing} of {len(doc_ids)} documents; materialise it first"
        )
    return verdicts


def _without(trimmed: Trimmed, verdicts: pl.DataFrame, passage: Passage, rules: PassageRules) -> Trimmed:
    there = (trimmed.fate["reason"] == KEPT) & verdicts["kept"].fill_null(False)
    passages, compared = compared_passages(trimmed.text, passage, rules)
    counts = np.bincount(passages.texts[compared], minlength=len(there))
    cut_otherwise = there & (verdicts["passages"].fill_null(0) != pl.Series(counts))
    if cut_otherwise.any():
        raise LineageError(
            f"{cut_otherwise.sum()} documents have other {passage.value} than when they were compared, among them "
            f"{verdicts['doc_id'].filter(cut_otherwise)[0]}; materialise the index of {passage.value} again"
        )
    removed = np.zeros(len(passages.starts), np.bool_)
    if rules.removes(passage):
        duplicated = verdicts.select(pl.when(there).then("duplicated")).to_series()
        places = duplicated.list.explode(keep_nulls=False, empty_as_null=False)
        owner = np.repeat(np.arange(len(there)), duplicated.list.len().fill_null(0).to_numpy())
        first = np.cumsum(counts) - counts
        removed[np.flatnonzero(compared)[first[owner] + places.to_numpy()]] = True
    text = without(passages, removed) if removed.any() else trimmed.text
    goes = (trimmed.fate["reason"] == KEPT) & ~there
    fate = trimmed.fate.with_columns(
        reason=pl.when(goes).then(pl.lit(passage.reason)).otherwise("reason"),
        duplicate_of=pl.when(goes).then(verdicts["duplicate_of"]).otherwise("duplicate_of"),
        **{passage.value: trimmed.text.str.len_chars() - text.str.len_chars()},
    )
    if passage is Passage.PARAGRAPH:
        fate = fate.with_columns(share=verdicts["similarity"])
    return replace(trimmed, text=text, fate=fate)


def _emptied(trimmed: Trimmed, reason: str, holder: pl.Series | None = None) -> Trimmed:
    """Let documents of which nothing is left go, for the reason that took the last of them."""
    empty = (trimmed.fate["reason"] == KEPT) & (trimmed.text.str.strip_chars() == "")
    fate = trimmed.fate.with_columns(
        reason=pl.when(empty).then(pl.lit(reason)).otherwise("reason"),
        duplicate_of=pl.when(empty)
        .then(pl.lit(None) if holder is None else holder)
        .otherwise("duplicate_of"),
    )
    return replace(trimmed, fate=fate)
