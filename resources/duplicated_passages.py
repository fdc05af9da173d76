"""What an index of passages found, for people: how much is duplicated, and which passages most often, with their text."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.passages.config import Passage
from phoenix_assets.dedup.passages.cutting import compared_passages
from phoenix_assets.dedup.passages.joining import excerpts
from phoenix_assets.dedup.passages.trimming import PASSAGE_DECISION, trim
from phoenix_assets.lineage import StoredRecord
from resources.lake import Lake
from resources.ledger import LineageLedger

_SHOWN: Final = 10


@dataclass(frozen=True)
class DuplicatedPassages:
    """The duplicates of one version of an index."""

    lake: Lake
    ledger: LineageLedger
    stored: StoredRecord
    passage: Passage
    dedup: DedupConfig

    @cached_property
    def rows(self) -> pl.LazyFrame:
        """The decisions."""
        return self.lake.read(self.stored.as_input())

    def totals(self) -> dict[str, int]:
        """Return how many documents go, and how many passages of the others are duplicates."""
        dropped = ~pl.col("kept")
        return (
            self.rows.select(
                documents_dropped=dropped.sum(),
                passages_duplicated=pl.col("duplicated").list.len().filter("kept").sum(),
                passages_compared=pl.col("passages").cast(pl.Int64).sum(),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )

    def most_copied(self) -> pl.DataFrame:
        """Return the passages with most copies: passage (its text), copies, deliveries, held_by."""
        lists = ("holder", "holder_source", "holder_delivery", "behind")
        most = (
            self.rows.select("source", "delivery", *lists)
            .explode(*lists, empty_as_null=False)
            .group_by("behind", "holder", "holder_source", "holder_delivery")
            .agg(copies=pl.len() + 1, deliveries=pl.struct("source", "delivery").n_unique())
            .sort("copies", "behind", descending=[True, False])
            .head(_SHOWN)
            .join(self.rows.select("number", holder="doc_id"), on="holder", maintain_order="left")
            .with_columns(place=pl.col("behind") - pl.col("number") - 1)
            .collect(engine="streaming")
        )
        parts = most.partition_by("holder_source", "holder_delivery", as_dict=True)
        texts = [self._texts(str(source), str(delivery), part) for (source, delivery), part in parts.items()]
        found = pl.concat([pl.DataFrame(schema={"behind": pl.Int64, "passage": pl.String}), *texts])
        return most.join(found, on="behind", how="left", maintain_order="left").select(
            "passage", "copies", "deliveries", held_by="holder", held_in="holder_delivery"
        )

    def _texts(self, source: str, delivery: str, holders: pl.DataFrame) -> pl.DataFrame:
        """Return behind and passage of some passages (holder, place, behind) of a delivery, cut as they were compared."""
        [prints] = [
            one
            for one in self.stored.record.inputs
            if (one.asset, one.partition) == (f"{source}/{self.passage.value}", delivery)
        ]
        inputs = {one.asset: one for one in self.ledger.record_of(prints).record.inputs}
        group = self.dedup.group_of(source)
        before = [inputs[f"dedup/{group}/{level.value}"] for level in self.passage.before]
        wanted = pl.col("doc_id").is_in(holders["holder"].implode())
        documents = (
            self.lake.read(inputs[f"{source}/deduped"]).filter(wanted).select("doc_id", "text").collect()
        )
        decided = [
            self.lake.read(one).filter(wanted).select(PASSAGE_DECISION.names()).collect() for one in before
        ]
        decisions = pl.concat([pl.DataFrame(schema=PASSAGE_DECISION), *decided])
        rules = self.dedup.passage_rules(source)
        text = trim(documents, decisions, self.passage.before, rules).text
        passages, compared = compared_passages(text, self.passage, rules)
        owner = passages.texts[compared]
        places = pl.DataFrame(
            {
                "holder": documents["doc_id"].gather(owner),
                "place": np.arange(len(owner)) - np.searchsorted(owner, owner),
                "passage": excerpts(passages, compared).str.strip_chars(),
            }
        )
        return holders.join(places, on=["holder", "place"], how="left").select("behind", "passage")
