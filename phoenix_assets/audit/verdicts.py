"""What a stage decided about documents: its newest ledgers, and the texts as the stage read them.

A stage's ledger names every document that came in; what it dropped is still readable in the stage before, at exactly
the version that was judged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import InputVersion, LineageRecord, SideTable
from phoenix_assets.schema import DOCUMENT, LEDGER, Stage
from resources.lake import Lake
from resources.ledger import LineageLedger


@dataclass(frozen=True)
class Verdicts:
    """The newest decisions of one stage about one delivery."""

    source: str
    stage: Stage
    record: LineageRecord

    @property
    def delivery(self) -> str:
        """The delivery that was judged."""
        return self.record.partition

    @property
    def ledger(self) -> InputVersion:
        """The ledger that was committed with the data. Raises LineageError when the stage keeps none."""
        table = self.record.side_tables.get(SideTable.LEDGER)
        if table is None:
            raise LineageError(
                f"{self.record.asset}[{self.delivery}] has no ledger; name a stage that drops documents"
            )
        return table

    @property
    def before(self) -> InputVersion:
        """The documents as the stage read them."""
        for source in self.record.inputs:
            if source.asset.startswith(f"{self.source}/"):
                return source
        raise LineageError(f"{self.record.asset}[{self.delivery}] read no documents of {self.source}")


def newest_verdicts(
    ledger: LineageLedger, source: str, stage: Stage, delivery: str | None = None
) -> list[Verdicts]:
    """Return the newest decisions of a source's stage, a delivery each, or about one. Raises LineageError for none."""
    heads = ledger.heads(f"{source}/{stage}")
    if not heads:
        raise LineageError(
            f"{source}/{stage} has not been materialised; run `phoenix materialize {source}/{stage}`"
        )
    if delivery is not None and delivery not in heads:
        raise LineageError(
            f"{source}/{stage} holds no delivery {delivery!r}; it holds: {', '.join(sorted(heads))}"
        )
    return [
        Verdicts(source, stage, stored.record)
        for name, stored in sorted(heads.items())
        if delivery in (None, name)
    ]


def rules_of(lake: Lake, verdicts: Verdicts) -> list[str]:
    """Return the rules whose values the ledger lists; all rows of a delivery list the same ones, in the same order."""
    first = lake.read(verdicts.ledger).select("rules_name").head(1).collect()
    return first["rules_name"].to_list()[0] if first.height else []


def reasons(verdicts: Iterable[Verdicts]) -> pl.DataFrame:
    """Return how many documents were dropped for which reason, most first: reason, documents, deliveries."""
    rows = [(reason, count) for one in verdicts for reason, count in one.record.reasons.items()]
    frame = pl.DataFrame(rows, schema={"reason": pl.String, "documents": pl.Int64}, orient="row")
    counted = frame.group_by("reason").agg(pl.col("documents").sum(), deliveries=pl.len())
    return counted.sort("documents", "reason", descending=[True, False])


def texts_of(
    lake: Lake,
    verdicts: Iterable[Verdicts],
    chosen: pl.DataFrame,
    columns: Sequence[str],
    characters: int | None,
) -> pl.DataFrame:
    """Return `chosen` (doc_id, delivery, …) with `columns` of the documents as they came in, texts cut to `characters`.

    Only the deliveries that have chosen documents are read, and of their files only the parts that hold one.
    """
    deliveries = set(chosen["delivery"])
    found = [
        lake.read(one.before)
        .filter(pl.col("doc_id").is_in(chosen["doc_id"].to_list()))
        .select("doc_id", *columns)
        .with_columns(pl.col("text").str.slice(0, characters))
        .collect()
        for one in verdicts
        if one.delivery in deliveries
    ]
    if not found:
        return chosen.with_columns(pl.lit(None, pl.String).alias(name) for name in columns)
    return chosen.join(pl.concat(found), on="doc_id", how="left", maintain_order="left")


def first_texts(lake: Lake, verdicts: Sequence[Verdicts], deliveries: int, documents: int) -> pl.DataFrame:
    """Return lang and text of the first `documents` of some deliveries: what is typical, without reading all."""
    frames = [
        lake.read(one.ledger)
        .select("doc_id", pl.col("lang").fill_null(""))
        .join(lake.read(one.before).select("doc_id", "text").head(documents), on="doc_id")
        .select("lang", "text")
        .collect()
        for one in verdicts[:: max(1, len(verdicts) // deliveries)][:deliveries]
    ]
    return pl.concat(frames)


def model_file(lake: Lake, ledger: LineageLedger, asset: str, suffix: str = "") -> Path | None:
    """Return the path of a model asset's one file, None when it was never materialised."""
    stored = ledger.head(asset)
    if stored is None:
        return None
    names = lake.read(stored.as_input()).select("path").collect()["path"]
    return lake.stored_file(stored.as_input(), names.filter(names.str.ends_with(suffix)).sort()[0])


def dropped(lake: Lake, verdicts: Iterable[Verdicts], reason: str, count: int) -> pl.DataFrame:
    """Return `count` LEDGER rows dropped for `reason`. doc_ids are hashes: the smallest are a draw, the same each time."""
    rows = pl.concat((lake.read(one.ledger) for one in verdicts), how="diagonal")
    found = rows.filter(pl.col("drop_reason") == reason, ~pl.col("kept"))
    chosen = found.bottom_k(count, by="doc_id").collect(engine="streaming").sort("doc_id")
    return chosen.match_to_schema(LEDGER, missing_columns="insert", extra_columns="ignore")


def twins_of(lake: Lake, ledger: LineageLedger, doc_ids: pl.Series, characters: int | None) -> pl.DataFrame:
    """Return the documents called `doc_ids` (DOCUMENT columns, texts cut) as deduplication saw them.

    The indexes say where each one is, so only those deliveries are read.
    """
    wanted = pl.col("doc_id").is_in(doc_ids.to_list())
    indexes = ledger.all_heads([asset for asset in lake.assets() if asset.startswith("dedup/")])
    places = [
        lake.read(stored.as_input()).filter(wanted).select("source", "delivery").unique().collect()
        for partitions in indexes.values()
        for stored in partitions.values()
    ]
    found = [pl.DataFrame(schema=DOCUMENT)]
    for source, delivery in pl.concat(places).sort("source", "delivery").iter_rows() if places else ():
        rows = lake.read(ledger.resolve(f"{source}/{Stage.FILTERED}", delivery)).filter(wanted)
        found.append(
            rows.select(DOCUMENT.names()).with_columns(pl.col("text").str.slice(0, characters)).collect()
        )
    return pl.concat(found)
