"""What a Delta table's log says, commit by commit.

The log of the lake's tables is kept for ever, so that each commit can be read by itself, in a fraction of the time
that opening the table takes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote


class TableState(NamedTuple):
    """Which table there is, and where it stands; every commit and every new table changes it."""

    table_id: str  # given when the table was created; "" when there is none
    version: int  # the newest storage version; -1 when there is none

    def continues(self, earlier: "TableState") -> bool:
        """Return whether the table only grew since `earlier`; otherwise it is another one."""
        return earlier == NO_TABLE or (self.table_id == earlier.table_id and self.version >= earlier.version)


NO_TABLE: Final = TableState("", -1)


@dataclass(frozen=True)
class DeltaLog:
    """The log of the table in `folder`, which need not be there."""

    folder: Path

    def exists(self) -> bool:
        """Return whether there is a table."""
        return self._path.is_dir()

    def version(self) -> int:
        """Return the newest storage version, -1 when there is no table."""
        commits = self._path.glob("*.json")
        return max((int(commit.stem) for commit in commits if commit.stem.isdigit()), default=-1)

    def state(self) -> TableState:
        """Return which table it is and its newest storage version."""
        return TableState(str(self._created().get("id", "")), self.version())

    def partition_column(self) -> str | None:
        """Return the column by which the table is partitioned, if any."""
        columns = self._created().get("partitionColumns")
        return str(columns[0]) if columns else None

    def commit_info(self, version: int) -> dict[str, Any]:
        """Return what one commit says of itself, our own metadata included."""
        return next((one["commitInfo"] for one in self._actions(version) if "commitInfo" in one), {})

    def added(self, version: int) -> list[str]:
        """Return the files that one commit added, relative to the table, sorted."""
        return sorted(unquote(one["add"]["path"]) for one in self._actions(version) if "add" in one)

    def ever_added(self) -> set[str]:
        """Return every file that was ever part of the table."""
        return {path for version in range(self.version() + 1) for path in self.added(version)}

    def removed_since(self, timestamp: int) -> set[str]:
        """Return the files that commits since `timestamp` (milliseconds) took out of the table."""
        gone: set[str] = set()
        for version in range(self.version(), 0, -1):
            if int(self.commit_info(version).get("timestamp", 0)) < timestamp:
                break
            gone |= {unquote(one["remove"]["path"]) for one in self._actions(version) if "remove" in one}
        return gone

    def _created(self) -> dict[str, Any]:
        """Return the metadata that the table was created with, {} when there is no table."""
        if not self._file(0).is_file():
            return {}
        return next((one["metaData"] for one in self._actions(0) if "metaData" in one), {})

    def _actions(self, version: int) -> Iterator[dict[str, Any]]:
        return (json.loads(line) for line in self._file(version).read_text("utf-8").splitlines())

    def _file(self, version: int) -> Path:
        return self._path / f"{version:020d}.json"

    @property
    def _path(self) -> Path:
        return self.folder / "_delta_log"
