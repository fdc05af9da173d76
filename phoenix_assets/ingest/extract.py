"""From delivered files to documents: read each with its format's reader, in outputs of bounded size.

Every record of a file gets one ledger row, whether it became a document or went to quarantine, so the records of a
file can be counted on both sides. A file that only says what licence others are under has none and is counted. Small files share a shard, and the documents of a shard share outputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl

from phoenix_assets.content_hash import file_sha256
from phoenix_assets.errors import DeliveryError
from phoenix_assets.fields import AS_NAMED, FieldMap
from phoenix_assets.ingest.config import Format, ReaderLimits
from phoenix_assets.ingest.readers import read_file, read_folder
from phoenix_assets.ingest.records import Licence, Record, Reject, to_documents, to_quarantine
from phoenix_assets.ingest.source_code import is_archive, is_archive_name
from phoenix_assets.schema import LEDGER, RejectReason, Stage, StageOutput, document_id, ledger_rows

KERNEL_VERSION: Final = "3"

LICENCE_FILES: Final = "licence_files"  # among an output's counts


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


Found: TypeAlias = tuple[DeliveredFile, Record | Reject | Licence]


def shards(files: Iterable[DeliveredFile], shard_bytes: int) -> list[tuple[DeliveredFile, ...]]:
    """Return the files in order, in shards that end at the first repository that brings them to `shard_bytes`.

    An archive, and a file that is not code, is one by itself; loose source files are one together (`_repositories`).
    """
    done: list[tuple[DeliveredFile, ...]] = []
    current: list[DeliveredFile] = []
    size = 0
    for together in _repositories(files).values():
        current += together
        size += sum(file.bytes for file in together)
        if size >= shard_bytes:
            done.append(tuple(current))
            current, size = [], 0
    return [*done, tuple(current)] if current else done


@dataclass(frozen=True)
class Extract:
    """The extraction kernel: delivered files to documents, ledger rows and quarantined records."""

    limits: ReaderLimits

    def __call__(self, shard: tuple[DeliveredFile, ...]) -> Iterator[StageOutput]:
        """Yield outputs that end at the record with which they reach a limit of outputs; the last one is smaller."""
        batch: list[Found] = []
        size = 0
        for file, result in self._results(shard):
            batch.append((file, result))
            size += _size(result)
            if size >= self.limits.output_characters or len(batch) == self.limits.output_records:
                yield _output(batch)
                batch, size = [], 0
        if batch:
            yield _output(batch)

    def _results(self, shard: tuple[DeliveredFile, ...]) -> Iterator[Found]:
        for together in _repositories(shard).values():
            loose = []
            for file in together:
                if changed := _changed(file):
                    yield file, changed
                elif _is_loose_code(file) and not is_archive(file.path):
                    loose.append(file)
                else:
                    for result in read_file(file.path, file.format, self.limits, file.fields):
                        yield file, result
            yield from self._loose_code(loose)

    def _loose_code(self, files: list[DeliveredFile]) -> Iterator[Found]:
        if not files:
            return
        by_name = {file.file: file for file in files}
        paths = {file.file: file.path for file in files}
        for name, result in read_folder(paths, files[0].delivery, self.limits):
            yield by_name[name], result


def _repositories(files: Iterable[DeliveredFile]) -> dict[str, list[DeliveredFile]]:
    """Return the files by what is read as a whole: loose source files by the top folder that they were delivered in."""
    found: dict[str, list[DeliveredFile]] = {}
    for file in files:
        name = (
            f"{file.file.partition('/')[0] if '/' in file.file else ''}/"
            if _is_loose_code(file)
            else file.file
        )
        found.setdefault(name, []).append(file)
    return found


def _is_loose_code(file: DeliveredFile) -> bool:
    return file.format == Format.CODE and not is_archive_name(file.file)


def _size(result: Record | Reject | Licence) -> int:
    """Return about how many characters a result holds."""
    if isinstance(result, Licence):
        return 0
    if isinstance(result, Reject):
        return len(result.payload)
    return len(result.text) + sum(len(value) for value in result.meta.values() if isinstance(value, str))


def _changed(file: DeliveredFile) -> Reject | None:
    if not file.path.is_file():
        raise DeliveryError(
            f"{file.path} is not there any more, so {file.source}/{file.delivery} cannot be read again: put the delivery back"
            " into the landing folder, or deliver it anew"
        )
    if file_sha256(file.path) == file.sha256:
        return None
    detail = f"{file.file} changed after its delivery was registered; deliver it again with a new manifest"
    return Reject("", RejectReason.WRONG_CHECKSUM, detail)


def _output(batch: list[Found]) -> StageOutput:
    source, delivery = batch[0][0].source, batch[0][0].delivery
    records = [(file.file, result) for file, result in batch if isinstance(result, Record)]
    rejects = [(file.file, result) for file, result in batch if isinstance(result, Reject)]
    documents, undecodable = to_documents(records, source, delivery)
    quarantine = to_quarantine([*rejects, *undecodable], source, delivery, Stage.EXTRACTED)
    lost = [
        document_id(source, delivery, f"{file}#{place}")
        for file, place in quarantine.select("file", "locator").iter_rows()
    ]
    dropped = quarantine.select(
        "delivery", "reason", doc_id=pl.Series(lost, dtype=pl.String), text=pl.lit("")
    )
    ledger = [
        ledger_rows(documents, Stage.EXTRACTED),
        ledger_rows(dropped, Stage.EXTRACTED, kept=pl.lit(False), drop_reason=pl.col("reason")),
    ]
    licences = sum(isinstance(result, Licence) for _, result in batch)
    return StageOutput(
        documents,
        pl.concat(ledger).match_to_schema(LEDGER),
        quarantine,
        counts={LICENCE_FILES: licences} if licences else {},
    )
