"""What is read of a mixture's tokens and of what they were made from, at the exact versions of a build."""

from phoenix_assets.lineage import InputVersion, SideTable
from phoenix_assets.tokens.trace import TraceIndex
from resources.build import Build


def trace_index(build: Build, tokens: InputVersion, split: str) -> TraceIndex:
    """Return the trace index of a split of `tokens`."""
    files = build.ledger.record_of(tokens).record.side_tables[SideTable.FILES]
    return TraceIndex(build.lake.files_folder(files), split)


def tagged_inputs(build: Build, mixture: str) -> list[InputVersion]:
    """Return the tagged partitions that the mixture was made from, exactly as it read them."""
    record = build.ledger.record_of(build.input(mixture)).record
    return [source for source in record.inputs if source.asset.endswith("/tagged")]
