"""What a mixture is chosen from: the tagged documents of its inputs, as metadata in one scratch file.

Texts pass through once, for their lengths; all that follows reads the file, batch by batch, so that memory is bounded by
a batch, not by the corpus.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, LicenceTerms, by_table_version
from phoenix_assets.mix.amounts import Batches
from phoenix_assets.mix.assign import CANDIDATE, columns
from phoenix_assets.mix.config import Mixture
from phoenix_assets.mix.licences import LICENCES
from resources.build import PARTITION_COLUMN
from resources.lake import Lake
from resources.ledger import LineageLedger

BATCH: Final = 500_000  # documents held at a time


@contextlib.contextmanager
def candidates(lake: Lake, inputs: Collection[InputVersion], recipe: Mixture) -> Iterator[Batches]:
    """Give what `recipe` decides by of exactly `inputs`, which are tagged partitions, while the context lasts.

    Raises LineageError for none, and when the recipe excludes by safety and an input was tagged without labels.
    """
    if not inputs:
        raise LineageError(f"mixture {recipe.version}: nothing is tagged of {', '.join(recipe.sources)}")
    by_safety = any(part.exclude_safety for part in recipe.parts.values())
    with lake.scratch() as folder:
        path = Path(folder) / "candidates.parquet"
        frames = [_metadata(lake, table, by_safety=by_safety) for table in by_table_version(inputs).values()]
        pl.concat(frames).sink_parquet(path, row_group_size=BATCH)
        yield in_batches(path, recipe)


def in_batches(path: Path, recipe: Mixture) -> Batches:
    """Return a Parquet file of CANDIDATE rows as batches of what `recipe` decides by."""
    rows = pl.scan_parquet(path).select(columns(recipe))
    height = rows.select(pl.len()).collect().item()

    def batches() -> Iterator[pl.DataFrame]:
        for start in range(0, height, BATCH):
            yield rows.slice(start, BATCH).collect()

    return batches


def licences(ledger: LineageLedger, inputs: Iterable[InputVersion]) -> pl.DataFrame:
    """Return the licence of every delivery behind `inputs`, a LICENCES row each."""
    terms: dict[tuple[str, str], LicenceTerms] = {
        (term.source, term.delivery): term
        for stored in ledger.records_of(inputs)
        for term in stored.record.licences
    }
    rows = [
        (term.source, term.delivery, term.licence, date.fromisoformat(term.expires) if term.expires else None,
         list(term.allows))
        for _, term in sorted(terms.items())
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=LICENCES, orient="row")


def _metadata(lake: Lake, sources: list[InputVersion], *, by_safety: bool) -> pl.LazyFrame:
    whole = lake.read(sources[0].model_copy(update={"partition": UNPARTITIONED}))
    documents = whole.filter(pl.col(PARTITION_COLUMN).is_in([source.partition for source in sources]))
    labelled = "safety" in documents.collect_schema()
    if by_safety and not labelled:
        raise LineageError(
            f"{sources[0].asset}: version {sources[0].storage_version} was tagged without safety labels;"
            f" materialise {sources[0].asset} again"
        )
    text = pl.col("text")
    return documents.select(
        *(pl.col(name) for name in CANDIDATE if name not in {"safety", "chars", "bytes"}),
        safety="safety" if labelled else pl.lit(""),
        chars=text.str.len_chars().cast(pl.Int64),
        bytes=text.str.len_bytes().cast(pl.Int64),
    ).select(CANDIDATE.names())
