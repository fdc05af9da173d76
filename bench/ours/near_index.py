"""The near-duplicates of a dedup group as the assets decide them: signatures in Parquet, index files, decisions.

`resources/dedup_index.py` does the same around the lake's tables; here the files lie in a folder. The prints of the other
granularities (hash of the address, hash of the text) are left out: no peer makes them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.dedup import granularity, minhash, store
from phoenix_assets.dedup.candidates import DeliveryInput, Sorting
from phoenix_assets.dedup.config import DedupConfig, Granularity
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.stages import decision_rows
from phoenix_assets.dedup.store import Stored
from phoenix_assets.dedup.update import update

NEAR = Granularity.NEAR
SOURCE = "cc"
RECEIVED = date(2024, 6, 1)


@dataclass(frozen=True)
class NearIndex:
    """A dedup group and its configuration."""

    config: DedupConfig
    group: str

    @classmethod
    def of(cls, group: str) -> "NearIndex":
        """Return the group as it is configured."""
        return cls(load(DedupConfig, config_dir() / "dedup.yaml"), group)

    def sign(self, shards: Iterable[pl.DataFrame], folder: Path, delivery: str) -> DeliveryInput:
        """Write the signatures of shards of documents (`doc_id`, `lang`, `text`); return them as one delivery."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for shard in shards:
            rows = shard.select(
                "doc_id",
                "lang",
                source=pl.lit(SOURCE),
                delivery=pl.lit(delivery),
                received=pl.lit(RECEIVED),
                quality=pl.lit(None, pl.Float64),
                signature=minhash.to_binary(minhash.signatures(shard["text"], self.config.signature)),
            )
            paths.append(folder / f"{delivery}-{len(paths):05d}.parquet")
            rows.write_parquet(paths[-1])
        return DeliveryInput(SOURCE, delivery, self.config.source_rank(SOURCE), delivery, tuple(paths))

    def decide(
        self, deliveries: list[DeliveryInput], folder: Path, earlier: dict[str, Path] | None = None
    ) -> tuple[Stored, dict[str, Path]]:
        """Bring the index to `deliveries`; write its files and the decisions of those that it touched into `folder`.

        `earlier` are the files of the version before, by name; returns the new version and its files.
        """
        (folder / "sorting").mkdir(parents=True)
        group, signature, settings = self.config.groups[self.group], self.config.signature, self.config.index
        empty = partial(
            Index, folder / "index", granularity.bands(NEAR, group), granularity.least(NEAR, group, signature),
            group.compared, settings.segment_documents,
        )  # fmt: skip
        (folder / "index").mkdir()
        stored = store.load(earlier, empty) if earlier else Stored(empty())
        as_block = partial(granularity.block, granularity=NEAR, group=group, signature=signature)
        sorting = Sorting(settings.sort_memory, folder / "sorting", settings.block_documents)
        done = update(stored.index, stored.known, deliveries, NEAR.column, sorting, as_block)
        stored.known = done.known
        for number, numbers in stored.index.by_delivery(done.affected):
            known = stored.known[number]
            rows = decision_rows(stored.index.decisions(numbers), NEAR, known.source, known.delivery)
            rows.write_parquet(folder / f"decisions-{number}-{numbers[0]}.parquet")
        names = store.save(stored, earlier or {})
        own = {name: folder / "index" / name for name in names}
        return stored, {name: path if path.is_file() else (earlier or {})[name] for name, path in own.items()}
