"""What a worker does with one shard: read it, call the kernel, stage what it made. Only small results come back."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import polars as pl

from phoenix_assets.lineage import InputVersion, SideTable
from phoenix_assets.schema import LEDGER, StageOutput
from resources.build import Build, ShardOutput
from resources.lake import Lake, Shard, StagedFile, stage

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class ShardWork(Generic[ItemT]):
    """A kernel bound to the tables that its output goes to; picklable, so any engine can run it."""

    kernel: Callable[[ItemT], Iterable[StageOutput]]
    documents_dir: Path
    ledger_dir: Path
    quarantine_dir: Path
    column: str | None
    partition: str

    def __call__(self, item: ItemT) -> ShardOutput:
        """Run the kernel on one item and stage each output as it comes, so memory is bounded by one output."""
        documents: list[StagedFile] = []
        ledger: list[StagedFile] = []
        quarantine: list[StagedFile] = []
        reasons: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        for output in self.kernel(item):
            documents += self._stage(self.documents_dir, output.documents)
            ledger += self._stage(self.ledger_dir, output.ledger.sort("doc_id"))  # see `lake.stage`
            quarantine += self._stage(self.quarantine_dir, output.quarantine)
            reasons.update(_drop_reasons(output.ledger))
            counts.update(output.counts)
            counts.update(_text_bytes(output.documents))
        return ShardOutput(tuple(documents), tuple(ledger), tuple(quarantine), reasons, counts)

    def _stage(self, folder: Path, frame: pl.DataFrame) -> list[StagedFile]:
        return [stage(folder, frame, column=self.column, partition=self.partition)] if frame.height else []


@dataclass(frozen=True)
class OnFrame:
    """Makes a kernel over one frame of documents into a kernel over a shard of the lake."""

    kernel: Callable[[pl.DataFrame], StageOutput]
    columns: tuple[str, ...] = ()  # order in which the kernel expects the columns; empty: as stored

    def __call__(self, shard: Shard) -> Iterable[StageOutput]:
        """Read the shard and run the kernel on it."""
        frame = shard.read()
        yield self.kernel(frame.select(self.columns) if self.columns else frame)


@dataclass(frozen=True)
class OnFrameWith:
    """Like `OnFrame`, with rows of other tables of one schema beside each frame."""

    kernel: Callable[[pl.DataFrame, pl.DataFrame], StageOutput]
    home: Path
    beside: tuple[InputVersion, ...]
    keys: tuple[tuple[str, str], ...]  # column and value that rows beside must have

    def __call__(self, shard: Shard) -> Iterable[StageOutput]:
        """Read the shard and the rows beside it, and run the kernel on both."""
        yield self.kernel(shard.read(), _rows_beside(self.home, self.beside, self.keys))


@functools.lru_cache(maxsize=1)
def _rows_beside(
    home: Path, sources: tuple[InputVersion, ...], keys: tuple[tuple[str, str], ...]
) -> pl.DataFrame:
    conditions = [pl.col(column) == value for column, value in keys]
    return pl.concat([Lake(home).read(source).filter(conditions).collect() for source in sources])


def shard_work(build: Build, kernel: Callable[[ItemT], Iterable[StageOutput]]) -> ShardWork[ItemT]:
    """Bind `kernel` to the tables of `build`."""
    return ShardWork(
        kernel=kernel,
        documents_dir=build.table_dir,
        ledger_dir=build.lake.table_dir(build.side_asset(SideTable.LEDGER)),
        quarantine_dir=build.lake.table_dir(build.side_asset(SideTable.QUARANTINE)),
        column=build.partitioned_by,
        partition=build.partition,
    )


def _drop_reasons(ledger: pl.DataFrame) -> dict[str, int]:
    if ledger.schema != LEDGER or not ledger.height:
        return {}
    dropped = ledger.filter(~pl.col("kept")).group_by("drop_reason").len().sort("drop_reason")
    return dict(zip(dropped["drop_reason"].to_list(), dropped["len"].to_list(), strict=True))


def _text_bytes(documents: pl.DataFrame) -> dict[str, int]:
    """Return the bytes of the documents' texts: what tokens are estimated by."""
    if "text" not in documents.columns:
        return {}
    return {"text_bytes": int(documents["text"].str.len_bytes().sum())}
