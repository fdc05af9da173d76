"""The decisions of a dedup index as people look at them: its clusters, and pairs with the texts that were compared.

Rows are chosen first; then only the deliveries that hold a chosen document are read, and of their texts only those.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.dedup.clusters import cluster_sizes, clusters
from phoenix_assets.dedup.columns import open_column
from phoenix_assets.dedup.comparison import MEMBER, PAIR, report
from phoenix_assets.dedup.comparison_config import ComparisonConfig
from phoenix_assets.dedup.pairs import least_alike_of_largest, similarities, spread_over_similarity
from phoenix_assets.dedup.segments import Numbers
from phoenix_assets.dedup.store import BRIDGES
from phoenix_assets.lineage import SideTable, StoredRecord
from resources.indexed_documents import documents
from resources.lake import Lake
from resources.ledger import LineageLedger

_EDGE: Final = ("number", "doc_id", "source", "delivery", "duplicate_of", "similarity", "band")


class Order(StrEnum):
    """By what pairs are chosen."""

    SIMILARITY = "similarity"
    SIZE = "size"


@dataclass(frozen=True)
class Duplicates:
    """What one version of an index decided. `later` are the indexes that decide on its survivors, in their order."""

    lake: Lake
    ledger: LineageLedger
    stored: StoredRecord
    later: tuple[StoredRecord, ...] = ()

    @property
    def rows(self) -> pl.LazyFrame:
        """All decisions."""
        return self.lake.read(self.stored.as_input())

    @cached_property
    def bridges(self) -> Numbers:
        """Pairs of survivors, by number, whose clusters are one."""
        files = self.stored.record.side_tables[SideTable.FILES]
        bridges: Numbers = open_column(self.lake.stored_file(files, BRIDGES)).whole()
        return bridges[:, :2]

    @cached_property
    def _edges(self) -> pl.DataFrame:
        """What was dropped, and the survivors that bridges name."""
        bridged = pl.col("number").is_in(np.unique(self.bridges))
        return self.rows.filter(~pl.col("kept") | bridged).select(_EDGE).collect(engine="streaming")

    @cached_property
    def clusters(self) -> pl.DataFrame:
        """CLUSTERS of more than one document."""
        return clusters(self._edges, self.bridges)

    @cached_property
    def dropped(self) -> pl.DataFrame:
        """What was dropped, with the cluster and its copies."""
        of_survivors = self.clusters.rename({"survivor": "duplicate_of"})
        return self._edges.drop_nulls("duplicate_of").join(of_survivors, on="duplicate_of")

    @property
    def sizes(self) -> dict[str, int]:
        """How many clusters have how many documents."""
        return cluster_sizes(self.clusters)

    @property
    def summary(self) -> str:
        """What was decided, in one line."""
        record = self.stored.record
        return (
            f"{record.asset}, version {record.data_version}: {record.counts['rows_out']:,} documents, "
            f"{self.dropped.height:,} dropped, in {self.clusters['cluster'].n_unique():,} clusters"
        )

    def pairs(self, order: Order, count: int) -> pl.DataFrame:
        """Return PAIR rows of `count` pairs, or of the pairs that differ most in the `count` largest clusters."""
        choose = spread_over_similarity if order is Order.SIMILARITY else least_alike_of_largest
        chosen = choose(self.dropped, count)
        kept = self._places(chosen["duplicate_of"])
        places = pl.concat([chosen.select("doc_id", "source", "delivery"), kept]).unique(maintain_order=True)
        texts = documents(self.lake, self.ledger, self.stored, places, ("url", "text"))
        twin = kept.join(texts, on="doc_id", how="left").select(
            pl.col("doc_id").alias("duplicate_of"), pl.exclude("doc_id").name.prefix("kept_")
        )
        return (
            chosen.join(texts, on="doc_id", how="left", maintain_order="left")
            .join(twin, on="duplicate_of", how="left", maintain_order="left")
            .join(self._dropped_later(kept["doc_id"]), on="duplicate_of", how="left", maintain_order="left")
            .select(pl.col(name).cast(dtype) for name, dtype in PAIR.items())
        )

    def members(self, chosen: Collection[str], most: int) -> pl.DataFrame:
        """Return MEMBER rows of clusters: the survivors of each, then the most alike; the first `most` with their URL."""
        survivors = self.clusters.filter(pl.col("cluster").is_in(list(chosen)))
        kept = self._places(survivors["survivor"]).join(survivors, left_on="doc_id", right_on="survivor")
        rows = pl.concat([kept, self.dropped.filter(pl.col("cluster").is_in(list(chosen)))], how="diagonal")
        rows = rows.sort(
            "cluster", pl.col("duplicate_of").is_not_null(), "similarity", "doc_id",
            descending=[False, False, True, False],
        )  # fmt: skip
        shown = rows.group_by("cluster", maintain_order=True).head(most)
        urls = documents(
            self.lake, self.ledger, self.stored, shown.select("doc_id", "source", "delivery"), ("url",)
        )
        listed = rows.join(urls, on="doc_id", how="left", maintain_order="left")
        return listed.select(pl.col(name).cast(dtype) for name, dtype in MEMBER.items())

    def report(self, order: Order, count: int, config: ComparisonConfig) -> str:
        """Return the comparison as one HTML file."""
        pairs = self.pairs(order, count)
        listed = pairs["cluster"].to_list() if order is Order.SIZE else []
        return report(
            pairs,
            self.members(listed, config.members),
            title=f"{self.stored.record.asset}: kept beside dropped",
            summary=self.summary,
            similarities=similarities(self.dropped, config.similarity_step),
            sizes=self.sizes,
            config=config,
        )

    def _places(self, doc_ids: pl.Series) -> pl.DataFrame:
        """Return doc_id, source and delivery of documents that were decided on."""
        chosen = self.rows.filter(pl.col("doc_id").is_in(doc_ids.unique().to_list()))
        return chosen.select("doc_id", "source", "delivery").collect(engine="streaming").sort("doc_id")

    def _dropped_later(self, doc_ids: pl.Series) -> pl.DataFrame:
        """Return what of these survivors (duplicate_of) a later granularity dropped, and behind what (later)."""
        wanted = pl.col("doc_id").is_in(doc_ids.unique().to_list()) & ~pl.col("kept")
        found = [
            self.lake.read(stored.as_input()).filter(wanted).select(
                duplicate_of="doc_id", later="duplicate_of", later_granularity="granularity"
            )
            for stored in self.later
        ]  # fmt: skip
        empty = pl.LazyFrame(schema=dict.fromkeys(("duplicate_of", "later", "later_granularity"), pl.String))
        return pl.concat([empty, *found]).collect()
