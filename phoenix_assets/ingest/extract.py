"""From delivered files to documents: read each with its format's reader, in outputs of bounded size.

Every record of a file gets one ledger row, whether it became a document or went to quarantine, so the records of a
file can be counted on both sides. Small files share a shard, and the documents of a shard share outputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.content_hash import file_sha256
from phoenix_assets.fields import AS_NAMED, FieldMap
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.readers import read_file
from phoenix_assets.ingest.records import Record, Reject, to_documents, to_quarantine
from phoenix_assets.schema import LEDGER, RejectReason, Stage, StageOutput, document_id, ledger_rows

KERNEL_VERSION: Final = "1"


@dataclass(frozen=True)
class DeliveredFile:
    """One registered file of a delivery."""

    source: str
    delivery: str
    file: str
    path: Path
    format: str
    bytes: int
    sha256: str  # as registered; a file changed since is not read
    fields: FieldMap = AS_NAMED


def shards(files: Iterable[DeliveredFile], shard_bytes: int) -> list[tuple[DeliveredFile, ...]]:
    """Return the files in order, in shards that end at the first file that brings them to `shard_bytes`."""
    done: list[tuple[DeliveredFile, ...]] = []
    current: list[DeliveredFile] = []
    for file in files:
        current.append(file)
        if sum(part.bytes for part in current) >= shard_bytes:
            done.append(tuple(current))
            current = []
    return [*done, tuple(current)] if current else done


@dataclass(frozen=True)
class Extract:
    """The extraction kernel: delivered files to documents, ledger rows and quarantined records."""

    limits: ReaderLimits

    def __call__(self, shard: tuple[DeliveredFile, ...]) -> Iterator[StageOutput]:
        """Yield outputs of about `limits.output_characters` of text each, the last one smaller."""
        gathered: list[StageOutput] = []
        characters = 0
        for output, size in self._pieces(shard):
            gathered.append(output)
            characters += size
            if characters >= self.limits.output_characters:
                yield _together(gathered)
                gathered, characters = [], 0
        if gathered:
            yield _together(gathered)

    def _pieces(self, shard: tuple[DeliveredFile, ...]) -> Iterator[tuple[StageOutput, int]]:
        """Yield each file's documents, in pieces of at most about an output's size, with the piece's characters."""
        for file in shard:
            records: list[Record] = []
            rejects: list[Reject] = []
            characters = 0
            for result in _unchanged(file) or read_file(file.path, file.format, self.limits, file.fields):
                if isinstance(result, Reject):
                    rejects.append(result)
                else:
                    records.append(result)
                    characters += len(result.text)
                if characters >= self.limits.output_characters:
                    yield _output(file, records, rejects), characters
                    records, rejects, characters = [], [], 0
            yield _output(file, records, rejects), characters


def _unchanged(file: DeliveredFile) -> list[Reject]:
    if file_sha256(file.path) == file.sha256:
        return []
    detail = f"{file.file} changed after its delivery was registered; deliver it again with a new manifest"
    return [Reject("", RejectReason.WRONG_CHECKSUM, detail)]


def _output(file: DeliveredFile, records: list[Record], rejects: list[Reject]) -> StageOutput:
    documents, undecodable = to_documents(records, file.source, file.delivery, file.file)
    quarantine = to_quarantine(
        [*rejects, *undecodable], file.source, file.delivery, file.file, Stage.EXTRACTED
    )
    lost = [
        document_id(file.source, file.delivery, f"{file.file}#{place}") for place in quarantine["locator"]
    ]
    dropped = quarantine.select(
        "delivery", "reason", doc_id=pl.Series(lost, dtype=pl.String), text=pl.lit("")
    )
    ledger = [
        ledger_rows(documents, Stage.EXTRACTED),
        ledger_rows(dropped, Stage.EXTRACTED, kept=pl.lit(False), drop_reason=pl.col("reason")),
    ]
    return StageOutput(documents, pl.concat(ledger).match_to_schema(LEDGER), quarantine)


def _together(outputs: list[StageOutput]) -> StageOutput:
    return StageOutput(
        pl.concat([output.documents for output in outputs]),
        pl.concat([output.ledger for output in outputs]),
        pl.concat([output.quarantine for output in outputs]),
    )
