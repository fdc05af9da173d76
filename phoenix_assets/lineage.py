"""The lineage record: what one materialisation read, ran and wrote. It travels in the commit of the data itself.

Identity is (asset, partition, data version); the storage version says where in the table's history those bytes
stand. Run id and times are execution, kept for people, and never part of an identity.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from phoenix_assets.config import Config

UNPARTITIONED = ""


class SideTable(StrEnum):
    """What can stand beside an asset's rows, in a table of its own."""

    LEDGER = "ledger"  # one row a document that the stage saw
    QUARANTINE = "quarantine"  # records that could not be taken
    FILES = "files"  # binary files that the rows index


class InputVersion(Config):
    """One exact input: a partition of an asset, at one content and one place in its table's history."""

    asset: str
    partition: str = UNPARTITIONED
    data_version: str
    storage_version: int


def by_table_version(inputs: Iterable[InputVersion]) -> dict[tuple[str, int], list[InputVersion]]:
    """Return inputs by asset and storage version, so that each version of a table is opened once."""
    found: dict[tuple[str, int], list[InputVersion]] = {}
    for source in inputs:
        found.setdefault((source.asset, source.storage_version), []).append(source)
    return found


class LicenceTerms(Config):
    """The licence of one delivery, as its manifest states it."""

    source: str
    delivery: str
    licence: str  # SPDX identifier
    expires: str | None = None  # ISO date
    allows: tuple[str, ...] = ()


class Execution(Config):
    """Where the code and the configuration of a record are found again."""

    commit: str = ""  # of the checkout that the code ran from; "" where there was none
    changed: bool = False  # the code was not just that commit's
    configuration: str = ""  # digest of the files that the lake keeps


class LineageRecord(Config):
    """What one materialisation of one asset partition read, ran and wrote."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # earlier code reads what later code recorded

    record_id: str
    asset: str
    partition: str = UNPARTITIONED
    data_version: str  # the identity of the content: `content_hash`, unless the asset says otherwise
    content_hash: str  # of the table's rows; recomputed by audits
    code_version: str
    config_digest: str
    config: dict[str, JsonValue] = Field(default_factory=dict)  # every threshold and rule that was in force
    inputs: tuple[InputVersion, ...] = ()
    licences: tuple[LicenceTerms, ...] = ()  # of every delivery behind this data
    counts: dict[str, int] = Field(default_factory=dict)  # rows_in, rows_out, rows_dropped, bytes, …
    reasons: dict[str, int] = Field(default_factory=dict)  # drop reason → documents
    side_tables: dict[SideTable, InputVersion] = Field(default_factory=dict)  # committed just before the data
    run_id: str
    execution: Execution = Execution()
    started: str  # ISO 8601, UTC
    finished: str

    @model_validator(mode="after")
    def _rows_are_conserved(self) -> Self:
        counts = self.counts
        if "rows_dropped" in counts and counts["rows_in"] != counts["rows_out"] + counts["rows_dropped"]:
            raise ValueError(
                f"{self.asset}[{self.partition}]: {counts['rows_in']} rows in, but {counts['rows_out']} kept and "
                f"{counts['rows_dropped']} dropped"
            )
        return self


class StoredRecord(Config):
    """A record as found in the lake, with the storage version of the commit that carries it."""

    record: LineageRecord
    storage_version: int

    def as_input(self, snapshot: int | None = None) -> InputVersion:
        """Return the reference by which another materialisation reads this one, at table version `snapshot`."""
        return InputVersion(
            asset=self.record.asset,
            partition=self.record.partition,
            data_version=self.record.data_version,
            storage_version=self.storage_version if snapshot is None else snapshot,
        )
