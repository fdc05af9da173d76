"""Training runs as audits see them: a checkpoint by its step, and what decides which tokens a run sees when."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from phoenix_assets.audit.exposure import Run
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import UNPARTITIONED, SideTable, StoredRecord
from phoenix_assets.tokens.trace import TraceIndex
from resources.lake import Lake
from resources.ledger import LineageLedger
from training_jobs.data_order import open_plan
from training_jobs.errors import OrderPlanError


@dataclass(frozen=True)
class TrainedRun:
    """A run that has trained, with its mixture and tokens, and how far it came."""

    lake: Lake
    experiment: str
    mixture: StoredRecord
    tokens: StoredRecord
    order: StoredRecord
    steps: int
    checkpoints: dict[int, StoredRecord]  # by step

    @cached_property
    def run(self) -> Run:
        """What it trained on, and in which order."""
        return run_behind(self.lake, [self.tokens, self.order])


def run_behind(lake: Lake, records: Iterable[StoredRecord], starts: Sequence[int] | None = None) -> Run:
    """Return what the run among `records` trained on, and in which order.

    Raises LineageError when the records hold no run or no tokens, or the plan of the order is damaged.
    """
    there = list(records)
    order = only(there, "order/").as_input()
    try:
        plan, _ = open_plan(lake.files_folder(order))
    except OrderPlanError as error:
        raise LineageError(str(error)) from error
    return Run(plan, trace_of(lake, only(there, "tokens/"), "train", starts))


def trained_by(ledger: LineageLedger, checkpoint: StoredRecord) -> Iterator[tuple[list[StoredRecord], int]]:
    """Yield what the run that left a checkpoint read, and its steps up to there; then the same of the run that it started from."""
    following: StoredRecord | None = checkpoint
    while following is not None:
        train = only(ledger.records_of(following.record.inputs), "train/")
        read = ledger.records_of(train.record.inputs)
        yield read, following.record.counts["step"]
        started = [stored for stored in read if stored.record.asset.startswith("checkpoints/")]
        following = started[0] if started else None


def trace_of(lake: Lake, tokens: StoredRecord, split: str, starts: Sequence[int] | None = None) -> TraceIndex:
    """Return the trace index of a split of token shards; for `starts` see there."""
    return TraceIndex(lake.files_folder(tokens.record.side_tables[SideTable.FILES]), split, starts)


def trained_runs(lake: Lake, ledger: LineageLedger) -> Iterator[TrainedRun]:
    """Yield the newest run of every experiment that has trained, by name."""
    for name, partitions in sorted(ledger.all_heads(lake.assets("train")).items()):
        train = partitions[UNPARTITIONED]
        experiment = name.removeprefix("train/")
        records = ledger.records_of(train.record.inputs)
        tokens = only(records, "tokens/")
        made_from = [one for one in tokens.record.inputs if one.asset.startswith("mix/")]
        heads = ledger.heads(f"checkpoints/{experiment}")
        own = {
            one.record.counts["step"]: one
            for one in heads.values()
            if one.record.inputs[0] == train.as_input()
        }
        yield TrainedRun(
            lake,
            experiment,
            only(ledger.records_of(made_from), "mix/"),
            tokens,
            only(records, "order/"),
            train.record.counts["rows_out"],
            dict(sorted(own.items())),
        )


def checkpoint_at(
    ledger: LineageLedger, experiment: str, step: int | None, room: str = "checkpoints"
) -> StoredRecord:
    """Return an experiment's checkpoint (or its evaluation) at `step`, the newest by default. Raises LineageError."""
    heads = ledger.heads(f"{room}/{experiment}")
    by_step = {int(partition.removeprefix("step-")): stored for partition, stored in heads.items()}
    if not by_step:
        raise LineageError(f"{room}/{experiment} holds nothing; train {experiment} first, or check its name")
    wanted = max(by_step) if step is None else step
    if wanted not in by_step:
        there = ", ".join(str(place) for place in sorted(by_step))
        raise LineageError(
            f"{experiment} has no {room.removesuffix('s')} at step {wanted}; there are: {there}"
        )
    return by_step[wanted]


def only(records: Iterable[StoredRecord], prefix: str) -> StoredRecord:
    """Return the one record whose asset begins with `prefix`. Raises LineageError for none, and for more."""
    found = [stored for stored in records if stored.record.asset.startswith(prefix)]
    if len(found) != 1:
        raise LineageError(f"expected one {prefix}… behind what is asked for, found {len(found)}")
    return found[0]
