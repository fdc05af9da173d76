"""A lake with nothing in it but signatures and the indexes over them, worked without Dagster.

As a program it is one of several deliveries that come at the same time: `signature_lake.py HOME DELIVERY ROUNDS`.
"""

import sys
import time
from collections.abc import Iterable
from datetime import date
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

import polars as pl

from phoenix_assets.config import load
from phoenix_assets.dedup.config import DedupConfig, Granularity, IndexConfig
from phoenix_assets.dedup.levels import DocumentLevel
from phoenix_assets.dedup.stages import SIGNATURES, signature_rows
from phoenix_assets.lineage import LicenceTerms, SideTable, StoredRecord
from resources.build import Build
from resources.dedup_index import Decided, decide
from resources.lake import Lake
from resources.ledger import LineageLedger

CONFIG = Path(__file__).parents[2] / "config" / "dedup.yaml"
WORDS = sorted({word for text in topics.values() for word in text.split() if word.isalpha()})


def texts(seed: int, count: int) -> list[str]:
    """Return texts of 60 words; of every three, the second is almost the first and the third is the first."""
    made = []
    for number in range(count):
        words = [WORDS[(seed * 7919 + number // 3 * 61 + place) * 104729 % len(WORDS)] for place in range(60)]
        if number % 3 == 1:
            words[-1] = "almost"
        made.append(" ".join(words))
    return made


class SignatureLake:
    """The group `general`, the indexes of which hold blocks and segments of a few documents."""

    def __init__(self, home: Path, *, block: int = 16, segment: int = 64, memory: str = "512MiB") -> None:
        committed = load(DedupConfig, CONFIG)
        index = IndexConfig(block_documents=block, segment_documents=segment, sort_memory=memory)
        self.dedup = committed.model_copy(update={"index": index})
        self.lake = Lake(home)
        self.ledger = LineageLedger(self.lake)
        self.gone: set[str] = set()
        self.said: list[str] = []

    def land(
        self,
        delivery: str,
        documents: Iterable[str],
        *,
        source: str = "cc",
        received: str = "2024-08-01",
        quality: Iterable[float | None] | None = None,
    ) -> None:
        """Deliver texts (once more: instead of those that came before)."""
        text = list(documents)
        frame = pl.DataFrame(
            {
                "source": source,
                "delivery": delivery,
                "doc_id": [_doc_id(source, delivery, number) for number in range(len(text))],
                "lang": "en",
                "url": pl.Series([None] * len(text), dtype=pl.String),
                "text": pl.Series(text, dtype=pl.String),
                "perplexity": pl.Series(
                    [None] * len(text) if quality is None else list(quality), dtype=pl.Float64
                ),
            }
        )
        rows = signature_rows(frame, received=date.fromisoformat(received), config=self.dedup.prints)
        self.put(delivery, rows.documents, source=source)

    def put(self, delivery: str, rows: pl.DataFrame, *, source: str = "cc") -> None:
        """Commit rows of SIGNATURES."""
        build = self._build(f"{source}/signatures", delivery, "delivery")
        build.commit(
            SIGNATURES,
            [build.stage(rows)],
            counts={"rows_out": rows.height},
            licences=(LicenceTerms(source=source, delivery=delivery, licence="CC0-1.0"),),
        )

    def decide(self, granularity: Granularity, *, anew: bool = False) -> Decided:
        """Bring the index of one granularity up to what has landed."""
        before = f"dedup/general/{granularity.before.value}" if granularity.before else None
        asset = f"dedup/general/{granularity.value}"
        with self.lake.scratch() as folder:
            return decide(
                partial(self.resolved, asset, before),
                DocumentLevel(
                    granularity, self.dedup.groups["general"], self.dedup.signature, self.dedup.index
                ),
                self.dedup,
                Path(folder),
                before=before,
                threads=1,
                anew=anew,
                warn=self.said.append,
            )

    def update(self, *, anew: bool = False) -> dict[Granularity, Decided]:
        """Bring all indexes up to what has landed."""
        return {granularity: self.decide(granularity, anew=anew) for granularity in Granularity}

    def head(self, granularity: Granularity) -> StoredRecord:
        """Return the newest version of an index."""
        stored = self.ledger.head(f"dedup/general/{granularity.value}")
        assert stored is not None
        return stored

    def decisions(self, granularity: Granularity) -> pl.DataFrame:
        """Return all decisions of an index, by number."""
        return self.lake.read(self.head(granularity).as_input()).drop("origin").collect().sort("number")

    def kept(self) -> set[str]:
        """Return the doc_ids that all indexes keep."""
        return set(self.decisions(Granularity.NEAR).filter("kept")["doc_id"])

    def files(self, granularity: Granularity) -> dict[str, Path]:
        """Return the files of an index by name."""
        table = self.head(granularity).record.side_tables[SideTable.FILES]
        rows = self.lake.read(table).collect()
        return {
            name: self.lake.table_dir(table.asset) / place
            for name, place in rows.select("path", "stored_at").iter_rows()
        }

    def resolved(self, asset: str, before: str | None) -> Build:
        """Return the build of an index, its inputs resolved."""
        build = self._build(asset, "", "origin")
        heads = self.ledger.all_heads()
        inputs = [
            stored.as_input()
            for name, partitions in sorted(heads.items())
            for delivery, stored in sorted(partitions.items())
            if name == before or (name.endswith("/signatures") and delivery not in self.gone)
        ]
        build.inputs = tuple(inputs)
        return build

    def _build(self, asset: str, partition: str, column: str) -> Build:
        return Build(
            lake=self.lake,
            ledger=self.ledger,
            asset=asset,
            partition=partition,
            code_version="1",
            config={},
            run_id="by hand",
            inputs=(),
            partitioned_by=column,
            table_version=self.lake.version(asset),
        )


def _doc_id(source: str, delivery: str, number: int) -> str:
    from phoenix_assets.config import digest

    return digest(source, delivery, number) + digest(number, delivery, source)


def race(home: Path, delivery: str, rounds: int) -> None:
    """Land a delivery and update the indexes, at the same moments as another process that does so."""
    lake = SignatureLake(home)
    for number in range(rounds):
        lake.land(f"{delivery}-{number}", texts(number, 24))
        (home / f"{delivery}-{number}.ready").touch()
        while len(list(home.glob(f"*-{number}.ready"))) < 2:
            time.sleep(0.001)
        lake.update()


if __name__ == "__main__":
    race(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
