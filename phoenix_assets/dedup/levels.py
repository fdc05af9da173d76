"""What is compared in a dedup group, one level after the other: documents at three granularities, then their passages.

A level says which prints it reads, how its index is brought up to date or made again, and what its decisions look like.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

import polars as pl

from phoenix_assets.dedup.candidates import DeliveryInput, Sorting
from phoenix_assets.dedup.config import Granularity, GroupConfig, IndexConfig, SignatureConfig
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.passages import index as passage_index
from phoenix_assets.dedup.passages.config import Passage, PassagesConfig
from phoenix_assets.dedup.passages.prints import SAME
from phoenix_assets.dedup.passages.restore import restore_passages
from phoenix_assets.dedup.passages.trimming import PASSAGE_DECISION, passage_decision_rows
from phoenix_assets.dedup.passages.update import Deciding, update_passages
from phoenix_assets.dedup.restore import restore
from phoenix_assets.dedup.segments import Block
from phoenix_assets.dedup.stages import DECISION, decision_rows
from phoenix_assets.dedup.update import Known, Update, update

KERNEL_VERSION: Final = "1"


class Level(Protocol):
    """One level of comparison in one group."""

    @property
    def prints(self) -> str:
        """The asset of a source's chain that has what is compared."""
        ...

    @property
    def schema(self) -> pl.Schema:
        """The columns of the decisions."""
        ...

    @property
    def block_documents(self) -> int:
        """How many documents are read at a time."""
        ...

    def index(self, folder: Path, threads: int) -> Index:
        """Return an index without documents, whose new files go to `folder`."""
        ...

    def update(
        self, index: Index, known: Sequence[Known], current: Sequence[DeliveryInput], sorting: Sorting
    ) -> Update:
        """Bring the index up to the `current` deliveries."""
        ...

    def decisions(
        self, index: Index, known: Sequence[Known], affected: Collection[int]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the number of an affected delivery and decisions on documents of it, of all of them in the end."""
        ...

    def restore(
        self,
        index: Index,
        size: int,
        decisions: Sequence[Path],
        deliveries: Sequence[DeliveryInput],
        sorting: Sorting,
    ) -> None:
        """Make the empty index again from decisions on the deliveries, with the `size` numbers that it had given out."""
        ...


@dataclass(frozen=True)
class DocumentLevel:
    """Whole documents, at one granularity."""

    granularity: Granularity
    group: GroupConfig
    signature: SignatureConfig
    limits: IndexConfig

    prints: ClassVar[str] = "signatures"
    schema: ClassVar[pl.Schema] = DECISION

    @property
    def block_documents(self) -> int:
        """See Level."""
        return self.limits.block_documents

    def index(self, folder: Path, threads: int) -> Index:
        """See Level."""
        return Index(
            folder,
            bands(self.granularity, self.group),
            least(self.granularity, self.group, self.signature),
            self.group.compared,
            self.limits.segment_documents,
            threads,
        )

    def update(
        self, index: Index, known: Sequence[Known], current: Sequence[DeliveryInput], sorting: Sorting
    ) -> Update:
        """See Level."""
        return update(index, known, current, self.granularity.column, sorting, self._as_block)

    def decisions(
        self, index: Index, known: Sequence[Known], affected: Collection[int]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """See Level."""
        for number, numbers in index.by_delivery(affected, self.limits.block_documents):
            yield number, decision_rows(index.decisions(numbers), self.granularity, *known[number].name)

    def restore(
        self,
        index: Index,
        size: int,
        decisions: Sequence[Path],
        deliveries: Sequence[DeliveryInput],
        sorting: Sorting,
    ) -> None:
        """See Level."""
        restore(index, size, decisions, deliveries, self.granularity.column, sorting, self._as_block)

    def _as_block(self, documents: pl.DataFrame) -> Block:
        return block(documents, self.granularity, self.group, self.signature)


@dataclass(frozen=True)
class PassageLevel:
    """Paragraphs, or sentences, of what the level before has left."""

    passage: Passage
    max_share: float  # of its letters in duplicates: beyond it a document goes
    limits: PassagesConfig

    schema: ClassVar[pl.Schema] = PASSAGE_DECISION

    @property
    def block_documents(self) -> int:
        """See Level."""
        return self.limits.block_documents

    @property
    def prints(self) -> str:
        """See Level."""
        return self.passage.value

    def index(self, folder: Path, threads: int) -> Index:
        """See Level."""
        size = self.limits.segment_passages
        return Index(folder, passage_index.BANDS, SAME, passage_index.LOOKED_AT, size, threads)

    def update(
        self, index: Index, known: Sequence[Known], current: Sequence[DeliveryInput], sorting: Sorting
    ) -> Update:
        """See Level."""
        deciding = Deciding(self.max_share, self.limits.block_passages)
        return update_passages(index, known, current, sorting, deciding)

    def decisions(
        self, index: Index, known: Sequence[Known], affected: Collection[int]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """See Level."""
        for number, numbers in index.by_delivery(affected):
            rows = passage_index.decisions(index, passage_index.whole_documents(index, numbers))
            yield number, passage_decision_rows(rows, self.passage, [one.name for one in known], number)

    def restore(
        self,
        index: Index,
        size: int,
        decisions: Sequence[Path],
        deliveries: Sequence[DeliveryInput],
        sorting: Sorting,
    ) -> None:
        """See Level."""
        restore_passages(index, size, decisions, deliveries, sorting, self.limits.block_passages)
